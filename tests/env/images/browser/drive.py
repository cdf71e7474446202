"""Drives one Chromium through the steps in the first argument, a JSON list of lists, and prints what each gave.

A step that does not come about within the time ends the walk: what was seen then is printed instead, and the exit code is 1.
"""

import json
import sys

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 30


def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    # A pod has no namespaces of its own to make, and little shared memory.
    for flag in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1000,700"]:
        options.add_argument(flag)
    options.add_argument("--user-data-dir=/tmp/profile")
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


class Walk:
    def __init__(self, driver):
        self.driver = driver
        driver.set_script_timeout(PATIENCE)

    def until(self, what, probe):
        return WebDriverWait(self.driver, PATIENCE, 0.05).until(lambda _: probe(), what)

    def open(self, url):
        self.driver.get(url)

    def wait(self, part):
        """Until the address contains this."""
        self.until(f"an address with {part}", lambda: part in self.driver.current_url)

    def log_in(self, name):
        """Fills in Keycloak's own form."""
        self.until("Keycloak's form", lambda: self.driver.find_elements(By.ID, "username"))
        self.driver.find_element(By.ID, "username").send_keys(name)
        self.driver.find_element(By.ID, "password").send_keys(name)
        self.driver.find_element(By.ID, "kc-login").click()

    def click(self, selector):
        self.until(f"{selector}", lambda: self.driver.find_elements(By.CSS_SELECTOR, selector))
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def see(self, text):
        """Until the page shows this."""
        self.until(f"a page with {text!r}", lambda: text in self.text())

    def text(self):
        found = self.driver.find_elements(By.TAG_NAME, "body")
        return found[0].text if found else ""

    def url(self):
        return self.driver.current_url

    def fetch(self, path):
        """The status of what a script of this page asks for."""
        script = "const done = arguments[1]; fetch(arguments[0], {redirect: 'manual'}).then(a => done(a.status), e => done(String(e)));"
        return self.driver.execute_async_script(script, path)

    def ask(self, path, options):
        """What a script of this page is answered: the status, and the text's beginning."""
        script = """const [path, options, done] = arguments;
            fetch(path, {redirect: 'manual', ...options}).then(async a => done([a.status, (await a.text()).slice(0, 500)]),
                                                              e => done([0, String(e)]));"""
        return self.driver.execute_async_script(script, path, options)

    def get(self, path):
        return self.ask(path, {})

    def put(self, path, text):
        return self.ask(path, {"method": "PUT", "body": text})

    def post(self, path, value):
        headers = {"Content-Type": "application/json"}
        return self.ask(path, {"method": "POST", "body": json.dumps(value), "headers": headers})

    def subscribe(self, path, query):
        """The first message of a GraphQL subscription over a websocket, or how that ended."""
        script = """const [path, query, done] = arguments;
            const socket = new WebSocket(location.origin.replace('http', 'ws') + path, 'graphql-ws');
            const send = value => socket.send(JSON.stringify(value));
            socket.onopen = () => send({type: 'connection_init', payload: {}});
            socket.onclose = event => done('closed ' + event.code);
            socket.onmessage = event => {
                const type = JSON.parse(event.data).type;
                if (type === 'connection_ack') send({id: '1', type: 'start', payload: {query, variables: {}}});
                if (type === 'data' || type === 'error') done(event.data);
            };"""
        return self.driver.execute_async_script(script, path, query)

    def cookies(self):
        """Ours, by name."""
        return {one["name"]: one["value"] for one in self.driver.get_cookies() if "keywire" in one["name"]}

    def names(self):
        return sorted(self.cookies())

    def set_cookie(self, name, value):
        self.driver.delete_cookie(name)
        self.driver.add_cookie({"name": name, "value": value, "httpOnly": True, "sameSite": "Lax"})

    def tamper(self):
        """One letter in the middle of the session's cookie is another."""
        for name, value in self.cookies().items():
            at = len(value) // 2
            self.set_cookie(name, value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1 :])

    def keep(self):
        """Copies our cookies, as a thief would."""
        self.kept = self.cookies()

    def replay(self):
        for name, value in self.kept.items():
            self.set_cookie(name, value)

    def renewed(self):
        """Opens the page again until its session is another."""
        before = self.cookies()

        def probe():
            self.driver.refresh()
            return self.cookies() != before

        self.until("a renewed session", probe)

    def tab(self, at):
        while len(self.driver.window_handles) <= at:
            self.driver.switch_to.new_window("tab")
        self.driver.switch_to.window(self.driver.window_handles[at])

    def shot(self, name):
        self.driver.save_screenshot(f"/tmp/{name}.png")


def main():
    driver = browser()
    walk = Walk(driver)
    gave = []
    try:
        for name, *arguments in json.loads(sys.argv[1]):
            try:
                gave.append(getattr(walk, name)(*arguments))
            except Exception as error:
                told = str(error).splitlines()[0]
                seen = {"step": [name, *arguments], "error": told, "url": driver.current_url, "text": walk.text()[:800], "gave": gave}
                print(json.dumps(seen))
                return 1
    finally:
        driver.quit()
    print(json.dumps(gave))
    return 0


sys.exit(main())
