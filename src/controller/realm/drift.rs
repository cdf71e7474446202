//! Others' changes to what a Realm keeps, told from our own: where nothing else is wanted than before, what differs is
//! theirs.

use kube::ResourceExt;

use crate::{
    api::{DriftPolicy, Realm},
    controller::{
        condition::Verdict,
        context::Context,
        ledger::{Actor, Recorded, Standing, Traced},
        sync::{
            self,
            drift::{self as told, Outcome},
        },
    },
    core::{
        build::kind,
        desired::{DesiredRealm, Management, objects::DesiredObjects},
        diff::Change,
        fingerprint::Fingerprint,
        name::Ref,
    },
    keycloak::RealmAdmin,
};

/// What a pass knows before it looks.
pub struct Sight {
    of: Traced,
    wanted: Option<Fingerprint>,
    /// Whose work a difference is; nobody's but our own where something new is wanted.
    by: Option<Actor>,
    policy: DriftPolicy,
    /// Whether an earlier pass of this run saw all of it: what the object names no more is gone since then.
    is_known: bool,
}

/// What became of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Keycloak holds all that is wanted.
    Whole,
    /// Something could not be looked at, or is in the way; nothing was tried and failed.
    Unseen,
    /// A change failed: what Keycloak holds is not known.
    Broken,
}

/// What the status has to tell.
#[derive(Default)]
pub struct Told {
    /// Changes that stay: the condition `Drift`.
    pub drift: Option<Verdict>,
    /// What Keycloak was made to hold.
    pub fingerprint: Option<Fingerprint>,
}

/// The Realm, as the ledger has it.
pub fn traced(name: &str) -> Traced {
    Traced { kind: kind::REALM, name: Ref::new("", name) }
}

impl Sight {
    /// Before the pass looks.
    pub fn begin(ctx: &Context, object: &Realm, desired: &DesiredRealm, objects: &DesiredObjects) -> Self {
        let of = traced(&object.name_any());
        let wanted = fingerprint(desired, objects);
        let by = match ctx.ledger.standing(&of, &recorded(object), wanted.as_ref()) {
            Standing::New => None,
            Standing::Same => Some(Actor::Unknown),
            Standing::Look { drift } => drift,
        };
        let is_known = by.is_some() && ctx.ledger.is_held(&of);
        ctx.ledger.begin(&of);
        Self { of, wanted, by, policy: object.spec.drift_policy, is_known }
    }

    /// The handle by which the pass looks, and changes what it may.
    pub fn admin(&self, realm: RealmAdmin) -> RealmAdmin {
        let realm = if self.is_known { realm.named_parts() } else { realm };
        if self.leaves_drift() { realm.as_it_is() } else { realm }
    }

    /// Whether others' changes stay.
    fn leaves_drift(&self) -> bool {
        self.by.is_some() && self.policy == DriftPolicy::Report
    }

    /// Whether one of the changes is of this kind, and was made.
    pub fn is_made(&self, changes: &[Change], is_it: impl Fn(&Change) -> bool) -> bool {
        self.made(changes).any(is_it)
    }

    fn made<'a>(&self, changes: &'a [Change]) -> impl Iterator<Item = &'a Change> {
        let leaves_drift = self.leaves_drift();
        changes.iter().filter(move |change| !leaves_drift || change.is_due())
    }

    /// After the pass: tells of what others changed. `changes` are those that were made, or would have been.
    pub async fn end(self, ctx: &Context, object: &Realm, end: End, changes: &[Change]) -> Told {
        sync::count(ctx, self.made(changes));
        let theirs: Vec<_> = changes.iter().filter(|change| !change.is_due()).cloned().collect();
        let reported = self.tell(ctx, object, &theirs).await;
        match end {
            End::Whole => ctx.ledger.holds(self.of.clone(), self.wanted, reported.clone()),
            End::Unseen => self.ask_again(ctx),
            End::Broken => ctx.ledger.lost(self.of.clone()),
        }
        Told { drift: reported.map(told::reported), fingerprint: ctx.ledger.known(&self.of, &recorded(object)) }
    }

    /// What could not be looked at stays in question.
    fn ask_again(&self, ctx: &Context) {
        if let Some(actor) = &self.by {
            ctx.ledger.suspect(self.of.clone(), actor.clone());
        }
    }

    async fn tell(&self, ctx: &Context, object: &Realm, theirs: &[Change]) -> Option<String> {
        let actor = self.by.as_ref()?;
        if theirs.is_empty() {
            return None;
        }
        if !self.leaves_drift() {
            told::announce(ctx, object, &self.of, theirs, actor, Outcome::Repaired).await;
            return None;
        }
        // A difference that stays is met by every pass, and told once, with the name that was known then.
        let before = ctx.ledger.reported(&self.of).filter(|before| before.ends_with(&told::differences(theirs)));
        if before.is_some() {
            return before;
        }
        told::announce(ctx, object, &self.of, theirs, actor, Outcome::Reported).await;
        Some(told::told(theirs, actor))
    }
}

fn recorded(object: &Realm) -> Recorded {
    let status = object.status.as_ref();
    status.map(|status| Recorded::of(status.fingerprint.as_deref(), &status.conditions)).unwrap_or_default()
}

/// Of all that a Realm asks for but the time. Another version of the operator may make something else of the same fields.
fn fingerprint(desired: &DesiredRealm, objects: &DesiredObjects) -> Option<Fingerprint> {
    let mut timeless = desired.clone();
    if let Management::Full(full) = &mut timeless.management {
        full.at = 0;
    }
    Fingerprint::of(&(env!("CARGO_PKG_VERSION"), timeless, objects))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        build::cluster_owner,
        desired::{FullRealm, Sealed, objects::Secret},
    };

    fn desired(at: u64) -> DesiredRealm {
        DesiredRealm {
            realm: "ml".into(),
            owner: cluster_owner("main", kind::REALM, "ml", "1"),
            management: Management::Full(Box::new(FullRealm { at, ..FullRealm::default() })),
            workload_issuer: None,
            adopt: false,
        }
    }

    fn objects(password: Option<&str>) -> DesiredObjects {
        let mut objects = DesiredObjects::none("ml", cluster_owner("main", kind::REALM, "ml", "1"));
        objects.users = password
            .map(|version| crate::core::desired::objects::User {
                username: "dev".into(),
                password: Secret::Known(Sealed::new(version, "hunter2")),
                ..Default::default()
            })
            .into_iter()
            .collect();
        objects
    }

    #[test]
    fn time_is_nothing_new_and_a_new_secret_is() {
        let of = |at, password| fingerprint(&desired(at), &objects(password)).expect("a fingerprint");
        assert_eq!(of(1, Some("corp/dev@1")), of(2, Some("corp/dev@1")));
        assert_ne!(of(1, Some("corp/dev@1")), of(1, Some("corp/dev@2")), "a new version of the Secret");
        assert_ne!(of(1, Some("corp/dev@1")), of(1, None));
    }
}
