//! What the operator sees of the cluster: one watch and one cache per kind, and
//! for each change the objects that have to be looked at again.

mod caches;
mod index;
mod kind;
pub mod rounds;
mod triggers;
mod watches;

pub use caches::{Caches, Claim, is_older};
pub use triggers::{Queues, Receivers, queues};
pub use watches::Watches;
