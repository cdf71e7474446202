//! A person's browser, as far as logins need one: cookies, redirects, links and forms.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{ACCEPT, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use url::Url;

/// Where the app under login lives; nothing listens there, the browser stops before it.
pub const APP: &str = "http://app.example/callback";
/// No login takes more.
const MAX_REDIRECTS: usize = 20;

pub struct Browser {
    client: Client,
    /// Where Keycloak is reached from here, whatever it calls itself.
    server: Url,
    /// Applications, which are reached as they are called.
    apps: Vec<Url>,
    /// By path and name: realms have cookies of the same names under different paths.
    cookies: HashMap<(String, String), String>,
}

/// A page, or the app's own address with what it was given.
pub struct Page {
    pub url: Url,
    pub html: String,
}

impl Browser {
    pub fn new(server: &Url) -> Self {
        let client =
            Client::builder().timeout(Duration::from_secs(60)).redirect(Policy::none()).build().expect("a client");
        Self { client, server: server.clone(), apps: Vec::new(), cookies: HashMap::new() }
    }

    /// An application that is reached at another address than its name says.
    pub fn finds(mut self, app: &Url, address: IpAddr) -> Self {
        let (host, port) = (app.host_str().expect("a host"), app.port_or_known_default().expect("a port"));
        let client = Client::builder().timeout(Duration::from_secs(60)).redirect(Policy::none());
        self.client = client.resolve(host, (address, port).into()).build().expect("a client");
        self.knows(app)
    }

    /// An application that is reached as it is called.
    pub fn knows(mut self, app: &Url) -> Self {
        self.apps.push(app.clone());
        self
    }

    /// Opens an address and follows where it leads.
    pub async fn open(&mut self, url: &Url) -> Page {
        let answer = self.get(url).await;
        self.follow(url.clone(), answer).await
    }

    /// What is at an address now, without being led anywhere: the status, and the page.
    pub async fn look(&self, url: &Url) -> (u16, String) {
        let answer = self.get(url).await;
        (answer.status().as_u16(), answer.text().await.expect("a page"))
    }

    /// As somebody who looks at pages.
    async fn get(&self, url: &Url) -> Response {
        let request =
            self.client.get(self.reachable(url)).header(ACCEPT, "text/html").header("sec-fetch-mode", "navigate");
        request.header(COOKIE, self.cookies_for(url)).send().await.expect("an answer")
    }

    /// The same by a script of a page: where it would be led counts.
    pub async fn fetch(&self, url: &Url) -> u16 {
        let request = self.client.get(self.reachable(url)).header("sec-fetch-mode", "cors");
        request.header(COOKIE, self.cookies_for(url)).send().await.expect("an answer").status().as_u16()
    }

    /// Fills in the one form of a page and sends it, wherever that leads.
    pub async fn send(&mut self, page: &Page, fields: &[(&str, &str)]) -> u16 {
        let (mut url, mut answer) = self.sent(page, fields).await;
        for _ in 0..MAX_REDIRECTS {
            self.keep_cookies(&answer);
            let Some(location) = answer.headers().get(LOCATION).cloned() else { break };
            url = url.join(location.to_str().expect("text")).expect("an address");
            answer = self.get(&url).await;
        }
        answer.status().as_u16()
    }

    /// Fills in the one form of a page and sends it.
    pub async fn submit(&mut self, page: &Page, fields: &[(&str, &str)]) -> Page {
        let (url, answer) = self.sent(page, fields).await;
        self.follow(url, answer).await
    }

    async fn sent(&self, page: &Page, fields: &[(&str, &str)]) -> (Url, Response) {
        let action = page.attribute_after("<form", "action=\"").unwrap_or_else(|| panic!("no form: {}", page.html));
        let url = page.url.join(&action).expect("an address");
        let request = self.client.post(self.reachable(&url)).header(COOKIE, self.cookies_for(&url));
        let request = request.header(ORIGIN, page.url.origin().ascii_serialization());
        let answer = request.form(fields).send().await.expect("an answer");
        (url, answer)
    }

    async fn follow(&mut self, mut url: Url, mut answer: Response) -> Page {
        for _ in 0..MAX_REDIRECTS {
            self.keep_cookies(&answer);
            let Some(location) = answer.headers().get(LOCATION).cloned() else {
                let status = answer.status();
                let html = answer.text().await.expect("a page");
                assert!(status.is_success(), "{status} at {url}: {html}");
                return Page { url, html };
            };
            url = url.join(location.to_str().expect("text")).expect("an address");
            if url.as_str().starts_with(APP) {
                return Page { url, html: String::new() };
            }
            answer = self.get(&url).await;
        }
        panic!("redirected in circles, at last to {url}");
    }

    fn reachable(&self, url: &Url) -> Url {
        let mut reachable = url.clone();
        if self.apps.iter().any(|app| app.origin() == url.origin()) {
            return reachable;
        }
        reachable.set_host(self.server.host_str()).expect("a host");
        reachable.set_port(self.server.port()).expect("a port");
        reachable
    }

    fn keep_cookies(&mut self, answer: &Response) {
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().expect("text");
            let mut parts = cookie.split(';').map(str::trim);
            let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            let path = parts.find_map(|part| part.strip_prefix("Path=")).unwrap_or("/");
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(&(path.to_owned(), name.to_owned()));
                continue;
            }
            self.cookies.insert((path.to_owned(), name.to_owned()), value.to_owned());
        }
    }

    fn cookies_for(&self, url: &Url) -> String {
        let of_path = self.cookies.iter().filter(|((path, _), _)| url.path().starts_with(path));
        of_path.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }
}

impl Page {
    /// The first link whose address contains this.
    pub fn link(&self, contains: &str) -> Url {
        let links = self.html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let found = links.map(unescape).find(|link| link.contains(contains));
        let found = found.unwrap_or_else(|| panic!("no link to {contains}: {}", self.html));
        self.url.join(&found).expect("an address")
    }

    /// What the app was given under this name.
    pub fn parameter(&self, name: &str) -> String {
        let found = self.url.query_pairs().find(|(key, _)| key == name);
        found.unwrap_or_else(|| panic!("no {name}: {} {}", self.url, self.html)).1.into_owned()
    }

    fn attribute_after(&self, tag: &str, attribute: &str) -> Option<String> {
        let (_, rest) = self.html.split_once(tag)?;
        let (_, rest) = rest.split_once(attribute)?;
        rest.split('"').next().map(unescape)
    }
}

fn unescape(text: &str) -> String {
    text.replace("&amp;", "&")
}
