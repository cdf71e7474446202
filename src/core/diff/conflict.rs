//! Why nothing can be planned.

use crate::core::desired::representation::IdentityProviderRepresentation;
use crate::core::desired::{OWNER_ATTRIBUTE, Owner};

/// Something in Keycloak stands in the way, and changing it is not ours to decide.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Conflict {
    /// The object exists and was not made by Keywire.
    #[error("{object} {name} (id {id}) exists already and was not made by Keywire: rename, remove or adopt it")]
    Unowned {
        /// What it is, such as `client`.
        object: &'static str,
        /// Its name or client id.
        name: String,
        /// Its internal id; for realms and identity providers the name again.
        id: String,
    },
    /// The object exists and was made from another Kubernetes object. Adopting does not help: whoever may write one
    /// object could take over what belongs to another.
    #[error(
        "{object} {name} (id {id}) belongs to {owner}: choose another name or delete that object; if it is gone for \
         good, take the mark {OWNER_ATTRIBUTE} away in Keycloak, and adopt"
    )]
    OwnedByAnother {
        /// What it is, such as `client`.
        object: &'static str,
        /// Its name or client id.
        name: String,
        /// Its internal id; for realms and identity providers the name again.
        id: String,
        /// Whose it is.
        owner: Box<Owner>,
    },
    /// The realm has to exist, since its settings are someone else's, and does not.
    #[error("realm {realm} does not exist, and with management ClientsOnly it is not made")]
    RealmMissing {
        /// The realm's name.
        realm: String,
    },
    /// Another identity provider of the realm has this cluster's issuer.
    #[error(
        "issuer {issuer} is that of identity provider {alias} ({whose}) in this realm already, and a realm knows an \
         issuer once: give this cluster an issuer of its own (kube-apiserver --service-account-issuer), or take \
         another realm, or remove that identity provider if nobody needs it"
    )]
    IssuerTaken {
        /// The `iss` of this cluster's tokens.
        issuer: String,
        /// The identity provider that has it.
        alias: String,
        /// Who made that.
        whose: String,
    },
    /// Another cluster has the same name, and with it would have the same ids.
    #[error(
        "identity provider {alias} was made by another cluster that is called {cluster:?} as well (its namespace          kube-system has another uid): give this cluster a name of its own (chart value clusterName); if that cluster          is gone for good, delete the identity provider in Keycloak"
    )]
    ClusterNameTaken {
        /// The identity provider's alias.
        alias: String,
        /// The name that both have.
        cluster: String,
    },
    /// Keycloak shows too little of the realm to compare it.
    #[error("realm {realm} is not fully visible: the operator needs the role manage-realm there")]
    RealmHidden {
        /// The realm's name.
        realm: String,
    },
}

impl Conflict {
    /// The conflict of an issuer that an identity provider has already.
    #[must_use]
    pub fn issuer_taken(found: &IdentityProviderRepresentation) -> Self {
        let whose = found.owner().map_or("not made by Keywire".to_owned(), |owner| format!("of {owner}"));
        let issuer = found.issuer().unwrap_or_default().to_owned();
        Self::IssuerTaken { issuer, alias: found.alias.clone(), whose }
    }
}

/// An object that may turn out not to be ours.
pub(super) struct Claim<'a> {
    pub object: &'static str,
    pub name: &'a str,
    pub id: &'a str,
    /// Who made it, as far as it says.
    pub owner: Option<Owner>,
}

impl Claim<'_> {
    /// Whether `owner` may change the object, now or by adopting it.
    pub fn check(self, owner: &Owner, adopt: bool) -> Result<(), Conflict> {
        let (object, name, id) = (self.object, self.name.to_owned(), self.id.to_owned());
        match self.owner {
            Some(found) if found.is_same_object(owner) => Ok(()),
            None if adopt => Ok(()),
            Some(found) => Err(Conflict::OwnedByAnother { object, name, id, owner: Box::new(found) }),
            None => Err(Conflict::Unowned { object, name, id }),
        }
    }
}

/// Whether an object is marked as made for `owner`.
pub(super) fn is_ours(found: Option<Owner>, owner: &Owner) -> bool {
    found.is_some_and(|found| found.is_same_object(owner))
}

/// Whether an object is marked as made for this very Kubernetes object. What is to be deleted has to be: another cluster
/// of the same name has objects of the same names.
pub(super) fn is_this(found: Option<Owner>, owner: &Owner) -> bool {
    found.is_some_and(|found| found.is_same_object(owner) && found.uid == owner.uid)
}
