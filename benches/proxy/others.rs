//! nginx and Envoy as people set them up: a reverse proxy that checks nothing, and one that checks tokens.

use std::{env, path::Path};

use serde_json::{Value, json};

use crate::{
    fixture::{AUDIENCE, CLIENT, Fixture, ISSUER},
    scene::THREADS,
};

/// A plain reverse proxy with connections kept in both directions.
pub fn nginx(scratch: &Path, listen: u16, upstream: u16) -> String {
    let scratch = scratch.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("{what}_temp_path {scratch}/nginx-{what};\n"))
        .collect();
    format!(
        "daemon off; worker_processes {THREADS}; pid {scratch}/nginx.pid; error_log {scratch}/nginx.log crit;
         events {{ worker_connections 4096; }}
         http {{ access_log off; keepalive_requests 1000000000; {temporary}
           upstream app {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
           server {{ listen 127.0.0.1:{listen};
             location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n"
    )
}

/// Envoy in its cheapest form: signature (cached), issuer, audience and times by jwt_authn, method and path by RBAC. Ours
/// checks client, role, model and grant besides. With `BENCH_ENVOY=claims` Envoy checks client and role too, which costs
/// it much more.
pub fn envoy(fixture: &Fixture, listen: u16, upstream: u16) -> Value {
    let claims = env::var("BENCH_ENVOY").is_ok_and(|text| text == "claims");
    let mut provider = json!({"issuer": ISSUER, "audiences": [AUDIENCE], "forward": false,
        "jwt_cache_config": {"jwt_cache_size": 1000}, "local_jwks": {"inline_string": fixture.jwks.to_string()}});
    let mut principal = json!({"any": true});
    if claims {
        provider["payload_in_metadata"] = json!("token");
        let role = json!({"list_match": {"one_of": {"string_match": {"exact": "read"}}}});
        let client = json!({"string_match": {"exact": CLIENT}});
        principal = json!({"and_ids": {"ids": [claim(&["azp"], client), claim(&["resource_access", AUDIENCE, "roles"], role)]}});
    }
    let permission = json!({"and_rules": {"rules": [
        {"header": {"name": ":method", "string_match": {"exact": "GET"}}},
        {"url_path": {"path": {"prefix": "/v2/models/iris"}}}]}});
    let filters = json!([
        {"name": "envoy.filters.http.jwt_authn", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"keycloak": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "keycloak"}}]}},
        {"name": "envoy.filters.http.rbac", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "ALLOW", "policies": {"read": {"permissions": [permission], "principals": [principal]}}}}},
        {"name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}},
    ]);
    let address = |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    json!({"static_resources": {
        "listeners": [{"address": address(listen), "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "http", "http_filters": filters, "route_config": {"virtual_hosts": [{
                    "name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}]}}}]}]}],
        "clusters": [{"name": "app", "type": "STATIC", "load_assignment": {"cluster_name": "app",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}]}}],
    }})
}

/// A condition on a claim in the token's metadata.
fn claim(path: &[&str], value: Value) -> Value {
    let mut keys = vec![json!({"key": "token"})];
    keys.extend(path.iter().map(|key| json!({ "key": key })));
    json!({"metadata": {"filter": "envoy.filters.http.jwt_authn", "path": keys, "value": value}})
}
