//! Users for development.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::desired::OWNER_ATTRIBUTE;
use crate::core::desired::objects::{
    DesiredObjects, GroupPath, LEDGER_MARK, RoleHolder, Secret, User, digest, ledger_name, password_entry,
};
use crate::core::desired::representation::UserRepresentation;
use crate::core::diff::conflict::Claim;
use crate::core::diff::object_change::{Attributes, ObjectChange};
use crate::core::diff::plan::by_name;

use super::exact::compare_whole;
use super::observed::{ObservedUser, ObservedUsers, RoleGrants};
use super::roles::plan_grants;
use super::{FindingReason, SectionPlan};

/// What it takes to make the users what is desired.
#[must_use]
pub fn plan_users(desired: &DesiredObjects, observed: &ObservedUsers) -> SectionPlan {
    let mut plan = SectionPlan::default();
    let ledger = GroupPath::top(&ledger_name(&desired.owner.name));
    if !is_ledger_free(desired, &ledger, observed, &mut plan) {
        return plan;
    }
    let deletions = surplus(desired, observed);
    if desired.users.is_empty() {
        // In one step: while a user is left, the ledger is what tells whose it is.
        let last = observed.ledger.iter().map(|_| ObjectChange::DeleteGroup { path: ledger.clone() });
        plan.step(deletions.into_iter().chain(last));
        return plan;
    }
    deletions.into_iter().for_each(|deletion| plan.step([deletion]));
    let users: Vec<_> = by_name(&desired.users, |user| &user.username)
        .into_iter()
        .filter(|user| plan.is_free(claim(desired, user, observed)))
        .collect();
    plan_ledger(desired, &ledger, observed, &mut plan);
    for user in &users {
        plan_user(desired, user, &ledger, observed, &mut plan);
    }
    plan
}

fn surplus(desired: &DesiredObjects, observed: &ObservedUsers) -> Vec<ObjectChange> {
    let is_listed = |username: &str| desired.users.iter().any(|wanted| wanted.username == username);
    by_name(&observed.users, |found| &found.user.username)
        .into_iter()
        .filter(|found| observed.in_ledger.contains(found.user.id()) && !is_listed(&found.user.username))
        .map(|found| ObjectChange::DeleteUser { user: bare(&found.user) })
        .collect()
}

/// A group of the ledger's name that is not ours would make its members ours to delete.
fn is_ledger_free(
    desired: &DesiredObjects,
    ledger: &GroupPath,
    observed: &ObservedUsers,
    plan: &mut SectionPlan,
) -> bool {
    let Some(found) = &observed.ledger else { return true };
    let is_marked = found.attributes.contains_key(LEDGER_MARK);
    let owner = found.owner().filter(|_| is_marked);
    let claim = Claim { object: "group", name: &ledger.to_string(), id: found.id(), owner };
    plan.is_free(claim.check(&desired.owner, false))
}

fn claim(desired: &DesiredObjects, user: &User, observed: &ObservedUsers) -> Result<(), crate::core::diff::Conflict> {
    let Some(found) = find(observed, &user.username) else { return Ok(()) };
    if observed.in_ledger.contains(found.user.id()) {
        return Ok(());
    }
    let claim = Claim { object: "user", name: &user.username, id: found.user.id(), owner: None };
    // A person from LDAP or a client's service account is never taken over.
    let is_special = found.user.federation_link.is_some() || found.user.service_account_client_id.is_some();
    claim.check(&desired.owner, desired.adopt && !is_special)
}

fn plan_user(
    desired: &DesiredObjects,
    user: &User,
    ledger: &GroupPath,
    observed: &ObservedUsers,
    plan: &mut SectionPlan,
) {
    let attributes = admitted(user, observed, plan);
    let found = find(observed, &user.username);
    let mut changes = Vec::new();
    match found {
        None => {
            let created = Box::new(representation(user, attributes, &UserRepresentation::default()));
            changes.push(ObjectChange::CreateUser { user: created, ledger: ledger.clone() });
        }
        Some(found) => changes.extend(update(user, attributes, ledger, found, observed)),
    }
    changes.extend(plan_password(user, ledger, found, observed, plan));
    let (none, no_groups) = (RoleGrants::default(), BTreeSet::new());
    let (grants, groups) = found.map_or((&none, &no_groups), |found| (&found.grants, &found.groups));
    let username = &user.username;
    // New users are put into the others, or someone has put them there.
    let leavable: BTreeSet<_> =
        desired.groups.iter().filter(|group| group.is_default != Some(true)).map(|group| &group.path).collect();
    let surplus = groups.iter().filter(|path| leavable.contains(path) && !user.groups.contains(path));
    changes.extend(surplus.map(|path| ObjectChange::LeaveGroup { username: username.clone(), path: path.clone() }));
    changes.extend(plan_grants(&RoleHolder::User(username.clone()), &user.roles, grants));
    let missing = user.groups.difference(groups);
    changes.extend(missing.map(|path| ObjectChange::JoinGroup { username: username.clone(), path: path.clone() }));
    plan.step(changes);
}

/// The attributes that will stay. The others would be written again and again.
fn admitted(user: &User, observed: &ObservedUsers, plan: &mut SectionPlan) -> Attributes {
    let (kept, dropped): (BTreeMap<_, _>, BTreeMap<_, _>) =
        user.attributes.clone().into_iter().partition(|(name, _)| observed.profile.admits(name));
    if !dropped.is_empty() {
        let names = dropped.into_keys().collect::<Vec<_>>().join(", ");
        let message = format!(
            "user {} does not get {names}: the realm's user profile does not list these attributes, and Keycloak would drop them without a word; add them to the profile, or let it admit unmanaged attributes",
            user.username
        );
        plan.find(FindingReason::AttributesDropped, message);
    }
    kept
}

/// All of the user, since a PUT wipes what it leaves out.
fn representation(user: &User, attributes: Attributes, found: &UserRepresentation) -> UserRepresentation {
    UserRepresentation {
        id: found.id.clone(),
        username: user.username.clone(),
        email: user.email.clone().or_else(|| found.email.clone()),
        email_verified: user.email_verified,
        first_name: user.first_name.clone().or_else(|| found.first_name.clone()),
        last_name: user.last_name.clone().or_else(|| found.last_name.clone()),
        enabled: user.enabled,
        attributes,
        ..UserRepresentation::default()
    }
}

fn update(
    user: &User,
    attributes: Attributes,
    ledger: &GroupPath,
    found: &ObservedUser,
    observed: &ObservedUsers,
) -> Vec<ObjectChange> {
    let wanted = representation(user, attributes, &found.user);
    let mut changes = Vec::new();
    let fields = compare_whole(&found.user, &wanted, "attributes", |_| true);
    if !fields.is_empty() {
        changes.push(ObjectChange::UpdateUser { user: Box::new(wanted), fields });
    }
    if !observed.in_ledger.contains(found.user.id()) {
        changes.push(ObjectChange::JoinGroup { username: user.username.clone(), path: ledger.clone() });
    }
    changes
}

/// A password that was set is never set again: the user may have chosen another since.
fn plan_password(
    user: &User,
    ledger: &GroupPath,
    found: Option<&ObservedUser>,
    observed: &ObservedUsers,
    plan: &mut SectionPlan,
) -> Option<ObjectChange> {
    match &user.password {
        Secret::Absent => None,
        Secret::Unreadable(reason) => {
            let message = format!("the password of user {} is left as it is: {reason}", user.username);
            plan.find(FindingReason::SecretUnreadable, message);
            None
        }
        Secret::Known(password) => {
            let entry = observed.ledger.as_ref().and_then(|it| it.attributes.get(&password_entry(&user.username)));
            let is_set = found.is_some() && entry.is_some_and(|set| set == &[digest(&password.version)]);
            let (username, password, ledger) = (user.username.clone(), password.clone(), ledger.clone());
            (!is_set).then_some(ObjectChange::SetPassword { username, password, ledger })
        }
    }
}

/// The ledger exists before the first user is in it, and says nothing of users that are not listed.
fn plan_ledger(desired: &DesiredObjects, ledger: &GroupPath, observed: &ObservedUsers, plan: &mut SectionPlan) {
    let (path, mut attributes) = (ledger.clone(), marks(desired));
    let Some(found) = &observed.ledger else {
        return plan.step([ObjectChange::CreateGroup { path, attributes }]);
    };
    let entries = desired.users.iter().filter(|user| user.password != Secret::Absent);
    for entry in entries.map(|user| password_entry(&user.username)) {
        attributes.extend(found.attributes.get(&entry).map(|version| (entry, version.clone())));
    }
    let wanted = serde_json::json!({ "attributes": attributes });
    let fields = compare_whole(found, &wanted, "attributes", |_| true);
    if !fields.is_empty() {
        plan.step([ObjectChange::UpdateGroup { path, attributes, fields }]);
    }
}

fn marks(desired: &DesiredObjects) -> Attributes {
    BTreeMap::from([
        (OWNER_ATTRIBUTE.to_owned(), vec![desired.owner.to_attribute()]),
        (LEDGER_MARK.to_owned(), vec!["true".to_owned()]),
    ])
}

fn bare(user: &UserRepresentation) -> Box<UserRepresentation> {
    let (id, username) = (user.id.clone(), user.username.clone());
    Box::new(UserRepresentation { id, username, ..UserRepresentation::default() })
}

fn find<'a>(observed: &'a ObservedUsers, username: &str) -> Option<&'a ObservedUser> {
    observed.users.iter().find(|found| found.user.username == username)
}
