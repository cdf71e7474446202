//! Identity providers: where the owner is kept, and what a PUT does to the config.

use keywire::core::desired::OWNER_ATTRIBUTE;

use crate::issuer::Issuer;
use crate::keycloak::{in_realm, owner};

#[tokio::test]
async fn the_config_keeps_the_owner_and_is_replaced_as_a_whole() {
    in_realm(|test| async move {
        let owner = owner("Realm", None, "ml");
        let wanted = Issuer::new("one").trusted_as("cluster").identity_provider(&owner);
        test.realm.create_identity_provider(&wanted).await.unwrap();
        let found = test.realm.list_identity_providers().await.unwrap();
        assert_eq!(found, vec![wanted.clone()], "nothing is added and nothing is lost");
        assert_eq!(found[0].owner(), Some(owner));

        let mut without = wanted.clone();
        without.config.remove(OWNER_ATTRIBUTE);
        test.realm.update_identity_provider(&without).await.unwrap();
        assert_eq!(test.realm.list_identity_providers().await.unwrap(), vec![without]);
    })
    .await;
}

#[tokio::test]
async fn an_issuer_is_trusted_once_per_realm() {
    in_realm(|test| async move {
        let issuer = Issuer::new("one");
        let owner = owner("Realm", None, "ml");
        let provider = |alias| issuer.trusted_as(alias).identity_provider(&owner);
        test.realm.create_identity_provider(&provider("first")).await.unwrap();
        let second = test.realm.create_identity_provider(&provider("second")).await;
        if test.keycloak.is_before_26_6().await {
            // Either may win then: our own check is what refuses a clash of issuers.
            second.expect("taken without a word");
        } else {
            assert_eq!(<&str>::from(&second.unwrap_err()), "invalid");
        }
        let error = test.realm.create_identity_provider(&provider("first")).await.unwrap_err();
        assert!(error.is_conflict() || <&str>::from(&error) == "invalid", "{error}");
    })
    .await;
}
