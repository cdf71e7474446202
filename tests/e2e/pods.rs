//! Pods that run, and the calls that they make.

use serde_json::Value;

use crate::{
    cluster::{Object, kubectl, text, try_apply, try_kubectl},
    eventually::{PATIENCE, POD_PATIENCE, eventually},
};

/// Creates a pod. Admission may refuse it until it has heard of what selects the pod: a Deployment would try again.
pub fn start(pod: &Value) -> Pod {
    let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
    eventually(&format!("pod {namespace}/{name} is let in"), PATIENCE, || try_apply(pod));
    Pod { namespace, name }
}

/// A pod.
#[derive(Clone)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
}

/// What a pod asks.
pub struct Request {
    /// May name variables of the pod: `$IRIS_URL/v2`.
    url: String,
    body: Option<String>,
    token: Option<String>,
}

/// What it got.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    /// Null where it is no JSON.
    pub body: Value,
}

impl Request {
    /// GET.
    pub fn get(url: &str) -> Self {
        Self { url: url.to_owned(), body: None, token: None }
    }

    /// POST of JSON.
    pub fn post(url: &str, body: &Value) -> Self {
        Self { body: Some(body.to_string()), ..Self::get(url) }
    }

    /// With a bearer token.
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// As curl's configuration, which is given on standard input: what is secret shows up in no process list.
    fn curl_config(&self) -> String {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let token = self.token.iter().map(|token| format!("header = \"authorization: Bearer {}\"\n", quoted(token)));
        let body = self
            .body
            .iter()
            .map(|body| format!("header = \"content-type: application/json\"\ndata = \"{}\"\n", quoted(body)));
        token.chain(body).collect()
    }
}

impl Pod {
    /// The pod as an object.
    pub fn object(&self) -> Object {
        Object::in_namespace(&self.namespace, "pod", &self.name)
    }

    /// Waits until its containers are ready.
    pub fn wait_ready(self) -> Self {
        self.object().wait_ready(POD_PATIENCE);
        self
    }

    /// Runs a script in the application's container.
    pub fn run(&self, script: &str) -> String {
        kubectl(&["exec", "-n", &self.namespace, &self.name, "-c", "app", "--", "sh", "-c", script])
    }

    /// Calls once.
    pub fn call(&self, request: &Request) -> Answer {
        self.call_while(request, "false")
    }

    /// Calls until the answer has this status, and fails with the last answer where that does not come.
    pub fn call_until(&self, status: u16, request: &Request) -> Answer {
        let other =
            format!("case $answer in \"HTTP/1.1 {status}\"*) false;; *) [ $(date +%s) -lt $end ] && sleep 0.1;; esac");
        let answer = self.call_while(request, &other);
        assert_eq!(answer.status, status, "{} calls {}: {answer:?}", self.name, request.url);
        answer
    }

    fn call_while(&self, request: &Request, again: &str) -> Answer {
        let script = format!(
            "config=$(cat); end=$(($(date +%s) + {}))
            while
                answer=$(printf '%s' \"$config\" | curl -s -i --max-time 20 -K - \"{}\")
                {again}
            do :; done
            printf '%s' \"$answer\"",
            PATIENCE.as_secs(),
            request.url
        );
        let exec = ["exec", "-i", "-n", &self.namespace, &self.name, "-c", "app", "--", "sh", "-c", &script];
        let printed = try_kubectl(&exec, &request.curl_config());
        Answer::parse(&printed.unwrap_or_else(|error| panic!("{} calls {}: {error}", self.name, request.url)))
    }
}

impl Answer {
    fn parse(printed: &str) -> Self {
        let (head, body) = printed.split_once("\r\n\r\n").unwrap_or((printed, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Self { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    /// A header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// The reason code of a refusal.
    pub fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }

    /// The sentence of a refusal.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}
