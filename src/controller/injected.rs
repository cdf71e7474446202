//! Whether the pods that run have what admission would give them now.

use super::condition::Verdict;

/// Every pod that the object selects has its sidecar.
const INJECTED: &str = "Injected";
/// So many pods are named; of more only the number is told.
const NAMED: usize = 5;

/// The endpoint's guard: without it, a pod's calls are decided by nobody.
pub fn guards(unguarded: &[String]) -> Verdict {
    verdict(unguarded, "this endpoint's guard", "whoever reaches them gets past every grant")
}

/// The identity's outbound half: the application calls in vain. Whatever else the identity is for works all the same.
pub fn outbound(unwired: &[String]) -> Verdict {
    verdict(unwired, "this identity's sidecar", "their calls go without a token, or nowhere").aside()
}

fn verdict(pods: &[String], what: &str, so: &str) -> Verdict {
    if pods.is_empty() {
        return Verdict::good(INJECTED, "Injected", format!("no pod that it selects runs without {what}"));
    }
    let message = format!(
        "{} without {what}, or with that of an earlier spec: {so}. They were there before it, or while no admission was; restart them (kubectl rollout restart, or delete them)",
        names(pods)
    );
    Verdict::bad(INJECTED, "PodsNotInjected", message)
}

/// `pod a runs`, `pods a, b run`, `pods a, b, c, d, e and 3 more run`.
fn names(pods: &[String]) -> String {
    let named = pods.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match pods.len() {
        1 => format!("pod {named} runs"),
        number if number <= NAMED => format!("pods {named} run"),
        number => format!("pods {named} and {} more run", number - NAMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::condition::State;

    #[test]
    fn who_is_not_injected_is_named() {
        let pods: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).into();
        for (count, beginning) in
            [(1, "pod a runs without"), (5, "pods a, b, c, d, e run "), (7, "pods a, b, c, d, e and 2 more run ")]
        {
            let verdict = guards(&pods[..count]);
            assert!(verdict.message.starts_with(beginning), "{}", verdict.message);
            assert_eq!((verdict.state, verdict.blocking), (State::False, true));
        }
        assert_eq!(guards(&[]).state, State::True);
        assert!(!outbound(&pods).blocking, "the identity may log in all the same");
    }
}
