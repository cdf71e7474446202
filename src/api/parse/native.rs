//! The part of a WebApp whose application signs people in itself → [`Native`].

use std::collections::BTreeMap;

use kube::ResourceExt;

use super::{Problems, app::refuse_patterns, invalid};
use crate::{
    api::{KnownApp, NativeSignIn, ROTATE_ANNOTATION, USE, WebApp},
    core::{
        claims::is_reserved,
        native::{MOUNT_PATH, Native, Preset, ROLES_CLAIM, SECRET_FILE, Template},
    },
};

/// Claims of a token that are there to say what its bearer may do: an application may have its own said there.
const CLAIMS_OF_ROLES: [&str; 3] = ["roles", "groups", "entitlements"];

impl KnownApp {
    fn preset(self) -> Preset {
        match self {
            Self::OpenWebUI => Preset::OPEN_WEB_UI,
            Self::Grafana => Preset::GRAFANA,
            Self::MLflow => Preset::MLFLOW,
            Self::JupyterHub => Preset::JUPYTER_HUB,
            Self::Airflow => Preset::AIRFLOW,
            Self::ArgoCD => Preset::ARGO_CD,
        }
    }
}

/// What the application tells apart.
pub(super) fn roles(written: &NativeSignIn) -> Vec<String> {
    let known = written.preset.map(|known| known.preset().roles.iter().map(ToString::to_string).collect());
    let or_known = |given: &[String]| if given.is_empty() { known } else { Some(given.to_vec()) };
    or_known(&written.roles).unwrap_or_else(|| vec![USE.to_owned()])
}

/// What it is told. `url` is the application's own.
pub(super) fn native(object: &WebApp, url: &str, problems: &mut Problems) -> Option<Native> {
    let Some(written) = &object.spec.native else {
        problems.push(invalid("spec.native", "signIn Native needs to know what the application is told"));
        return None;
    };
    let preset = written.preset.map(KnownApp::preset);
    let redirects = or(&written.redirect_paths, preset.map(|preset| preset.redirect_paths));
    let afterwards = or(&written.post_logout_redirect_paths, preset.map(|preset| preset.post_logout_redirect_paths));
    let afterwards = if afterwards.is_empty() { vec!["/".to_owned()] } else { afterwards };
    let backchannel = written.backchannel_logout_path.clone();
    let backchannel = backchannel.or_else(|| preset?.backchannel_logout_path.map(str::to_owned));
    refuse_patterns("spec.native", redirects.iter().chain(&afterwards).chain(&backchannel), problems);
    let Some(first) = redirects.first() else {
        problems.push(invalid("spec.native.redirectPaths", "name at least one, or a preset"));
        return None;
    };
    let at = |path: &String| format!("{url}{path}");
    let labels = preset.into_iter().flat_map(|preset| preset.secret_labels);
    Some(Native {
        redirect_uri: at(first),
        redirect_uris: redirects.iter().map(at).collect(),
        post_logout_redirect_uris: afterwards.iter().map(at).collect(),
        backchannel_logout: backchannel.as_ref().map(at),
        roles_claim: roles_claim(written, problems),
        environment: environment(written, preset.as_ref(), problems),
        mount_path: mount_path(written, problems),
        secret_file: written.secret_file.clone().unwrap_or_else(|| file(preset.as_ref())),
        secret_variable: secret_variable(written, preset.as_ref(), problems),
        containers: written.containers.iter().cloned().collect(),
        rotate: object.annotations().get(ROTATE_ANNOTATION).cloned(),
        secret_labels: labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    })
}

fn or(written: &[String], known: Option<&[&str]>) -> Vec<String> {
    if written.is_empty() { known.into_iter().flatten().map(ToString::to_string).collect() } else { written.to_vec() }
}

fn file(preset: Option<&Preset>) -> String {
    preset.map_or(SECRET_FILE, |preset| preset.secret_file).to_owned()
}

fn roles_claim(written: &NativeSignIn, problems: &mut Problems) -> String {
    let claim = written.roles_claim.clone().unwrap_or_else(|| ROLES_CLAIM.to_owned());
    let is_taken = is_reserved(&claim) && !CLAIMS_OF_ROLES.contains(&claim.as_str());
    if is_taken || claim.is_empty() || claim.contains(['.', '\\']) {
        problems.push(invalid("spec.native.rolesClaim", format!("{claim:?} cannot hold what people may do")));
    }
    claim
}

fn mount_path(written: &NativeSignIn, problems: &mut Problems) -> String {
    let path = written.mount_path.clone().unwrap_or_else(|| MOUNT_PATH.to_owned());
    let is_good = path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.contains([':', '\n'])
    });
    if !is_good {
        problems.push(invalid("spec.native.mountPath", format!("{path:?} is no directory from the root")));
    }
    path
}

fn secret_variable(written: &NativeSignIn, preset: Option<&Preset>, problems: &mut Problems) -> Option<String> {
    let needed = preset.and_then(|preset| preset.secret_variable);
    if let (None, Some(needed)) = (&written.secret_env, needed) {
        let message = format!(
            "this application reads the client's secret from its environment alone; set secretEnv: {needed} to have it put there (by reference to the Secret, never as text in the pod)"
        );
        problems.push(invalid("spec.native.secretEnv", message));
    }
    written.secret_env.clone()
}

fn environment(written: &NativeSignIn, preset: Option<&Preset>, problems: &mut Problems) -> BTreeMap<String, Template> {
    let known = preset.into_iter().flat_map(|preset| preset.environment);
    let mut texts: BTreeMap<&str, &str> = known.map(|(name, text)| (*name, *text)).collect();
    texts.extend(written.env.iter().map(|variable| (variable.name.as_str(), variable.value.as_str())));
    let mut templates = BTreeMap::new();
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        let field = format!("spec.native.env[{name}]");
        if !is_variable(name) || written.secret_env.as_deref() == Some(name) {
            problems.push(invalid(&field, "the name is no variable's, or is that of secretEnv"));
        }
        match Template::parse(text) {
            Ok(template) => {
                templates.insert(name.to_owned(), template);
            }
            Err(error) => problems.push(invalid(&field, error)),
        }
    }
    templates
}

/// What Kubernetes takes for the name of a variable, and of an entry of a ConfigMap.
fn is_variable(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.chars().all(is_letter) && !name.starts_with(|c: char| c.is_ascii_digit() || c == '.') && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::core::graph::AppSignIn;

    fn app(native: Value) -> WebApp {
        let spec = json!({"realm": "ml", "host": "board.example", "signIn": "Native", "native": native,
            "workload": {"matchLabels": {"app": "board"}}, "access": [{"name": "users", "people": [{"group": "/staff"}]}]});
        serde_json::from_value(json!({"apiVersion": "keywire.dev/v1alpha1", "kind": "WebApp",
            "metadata": {"namespace": "tools", "name": "board"}, "spec": spec}))
        .expect("a WebApp")
    }

    fn parsed(native: Value) -> Native {
        match app(native).parse().expect("good").sign_in {
            AppSignIn::Native(native) => *native,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_goes_before_what_is_known() {
        let known = parsed(json!({"preset": "Grafana"}));
        assert_eq!(known.redirect_uri, "https://board.example/login/generic_oauth");
        assert_eq!(parsed(json!({"preset": "Grafana", "rolesClaim": "groups"})).roles_claim, "groups");
        assert!(known.environment.contains_key("GF_AUTH_GENERIC_OAUTH_CLIENT_SECRET__FILE"));
        assert_eq!((known.mount_path.as_str(), known.secret_variable), (MOUNT_PATH, None));
        let other = parsed(json!({"preset": "Grafana", "redirectPaths": ["/sub/login/generic_oauth"],
            "env": [{"name": "GF_AUTH_GENERIC_OAUTH_NAME", "value": "Us"}, {"name": "GF_AUTH_DISABLE_LOGIN_FORM", "value": ""},
                {"name": "EXTRA", "value": "${issuer}"}]}));
        assert_eq!(other.redirect_uris, BTreeSet::from(["https://board.example/sub/login/generic_oauth".to_owned()]));
        assert_eq!(other.environment["GF_AUTH_GENERIC_OAUTH_NAME"], Template::parse("Us").expect("good"));
        assert!(other.environment.contains_key("EXTRA"));
        assert!(!other.environment.contains_key("GF_AUTH_DISABLE_LOGIN_FORM"));
    }

    #[test]
    fn access_gives_what_the_application_tells_apart() {
        let permissions = |native: Value| {
            let server = app(native).parse().expect("good").server;
            server.permissions.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(permissions(json!({"preset": "Grafana"})), ["admin", "edit", "use"]);
        assert_eq!(permissions(json!({"redirectPaths": ["/back"]})), ["use"]);
        assert_eq!(permissions(json!({"redirectPaths": ["/back"], "roles": ["use", "fly"]})), ["fly", "use"]);
    }

    #[test]
    fn what_is_wrong_is_told_by_field() {
        for (native, field) in [
            (json!({}), "spec.native.redirectPaths"),
            (json!({"redirectPaths": ["/*"]}), "spec.native"),
            (json!({"preset": "OpenWebUI"}), "spec.native.secretEnv"),
            (json!({"redirectPaths": ["/back"], "rolesClaim": "sub"}), "spec.native.rolesClaim"),
            (json!({"redirectPaths": ["/back"], "rolesClaim": "resource_access"}), "spec.native.rolesClaim"),
            (json!({"redirectPaths": ["/back"], "rolesClaim": "preferred_username"}), "spec.native.rolesClaim"),
            (json!({"redirectPaths": ["/back"], "mountPath": "/a/../b"}), "spec.native.mountPath"),
            (json!({"redirectPaths": ["/back"], "env": [{"name": "A", "value": "${secret}"}]}), "spec.native.env[A]"),
            (json!({"redirectPaths": ["/back"], "env": [{"name": "A B", "value": "x"}]}), "spec.native.env[A B]"),
            (
                json!({"redirectPaths": ["/back"], "env": [{"name": "A", "value": "x"}], "secretEnv": "A"}),
                "spec.native.env[A]",
            ),
            (json!({"redirectPaths": ["/back"], "roles": ["Fly high"]}), "spec.native.roles"),
        ] {
            let problems = app(native).parse().expect_err(field);
            assert!(problems.iter().any(|problem| problem.message.starts_with(field)), "{field}: {problems:?}");
        }
        let told = app(json!({"preset": "OpenWebUI"})).parse().expect_err("asks first");
        assert!(told[0].message.contains("secretEnv: OAUTH_CLIENT_SECRET"), "{told:?}");
        assert_eq!(
            parsed(json!({"preset": "OpenWebUI", "secretEnv": "OAUTH_CLIENT_SECRET"})).secret_variable.as_deref(),
            Some("OAUTH_CLIENT_SECRET")
        );
    }
}
