//! The Keycloak Admin API.
