//! A scripted Keycloak for tests of what a real one cannot be made to do.
