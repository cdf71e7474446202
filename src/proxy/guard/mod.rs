//! The inbound half: who may do what, then on to the application.

pub mod audit;
pub mod content;
pub mod identity;
pub mod recognise;
pub mod refuse;
pub mod serve;
pub mod state;
