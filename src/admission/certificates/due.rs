//! What must be done about the certificates, and when. Pure.

/// How long both CAs are published before a change relies on it: API servers see it
/// in seconds, a ConfigMap reaches a running pod within minutes.
pub const OVERLAP: i64 = 3600;
/// Certificates are dated back by this much, for clocks that are behind.
pub const BACKDATE: i64 = 300;
/// How long a CA is valid.
pub const CA_LIFETIME: i64 = 365 * 86400;
/// How long a leaf is valid.
pub const LEAF_LIFETIME: i64 = 90 * 86400;

/// What is known of a certificate. Times are seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is: DER of the name.
    pub subject: Vec<u8>,
    /// Who signed it: DER of the name.
    pub issuer: Vec<u8>,
    /// From when it is valid.
    pub not_before: i64,
    /// Until when it is valid.
    pub not_after: i64,
    /// DNS names that it is for, sorted.
    pub names: Vec<String>,
}

impl Certificate {
    /// When it should be renewed: after two thirds of its life.
    fn renewal(&self) -> i64 {
        self.not_before + (self.not_after - self.not_before) / 3 * 2
    }

    /// When everybody has learnt of it.
    fn settled(&self) -> i64 {
        self.not_before + BACKDATE + OVERLAP
    }
}

/// The certificates that there are. What is unreadable counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Material {
    /// The CA that signs.
    pub ca: Option<Certificate>,
    /// The CA before, still trusted.
    pub previous: Option<Certificate>,
    /// What the servers serve with.
    pub leaf: Option<Certificate>,
}

/// What must be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a CA; the one before stays trusted.
    NewCa,
    /// Sign a new leaf with the CA.
    NewLeaf,
    /// Trust the CA before no longer.
    DropPrevious,
    /// Nothing until this time.
    WaitUntil(i64),
}

/// What must be done next with these certificates, for servers of these names (sorted).
pub fn due(now: i64, material: &Material, names: &[String]) -> Action {
    let Some(ca) = material.ca.as_ref().filter(|ca| now < ca.renewal()) else { return Action::NewCa };
    let Some(leaf) = &material.leaf else { return Action::NewLeaf };
    let of_ca = leaf.issuer == ca.subject;
    let of_previous = !of_ca && material.previous.as_ref().is_some_and(|previous| previous.subject == leaf.issuer);
    if now >= leaf.not_after || leaf.names != names || !(of_ca || of_previous) {
        return Action::NewLeaf;
    }
    let leaf_due = if of_previous { ca.settled() } else { leaf.renewal() };
    if now >= leaf_due {
        return Action::NewLeaf;
    }
    let next = leaf_due.min(leaf.not_after).min(ca.renewal());
    match &material.previous {
        Some(_) if of_ca && now >= leaf.settled() => Action::DropPrevious,
        Some(_) if of_ca => Action::WaitUntil(next.min(leaf.settled())),
        _ => Action::WaitUntil(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86400;

    fn certificate(subject: &str, issuer: &str, made: i64, lifetime: i64) -> Certificate {
        let names = if subject == "leaf" { vec!["a".to_owned()] } else { vec![] };
        let not_before = made - BACKDATE;
        let (subject, issuer) = (subject.into(), issuer.into());
        Certificate { subject, issuer, not_before, not_after: not_before + lifetime, names }
    }

    fn ca(name: &str, made: i64) -> Option<Certificate> {
        Some(certificate(name, name, made, CA_LIFETIME))
    }

    fn leaf(issuer: &str, made: i64) -> Option<Certificate> {
        Some(certificate("leaf", issuer, made, LEAF_LIFETIME))
    }

    #[test]
    fn each_state_has_one_next_step() {
        let (t, renew_leaf, renew_ca) = (1000 * DAY, 60 * DAY - BACKDATE, 365 * DAY / 3 * 2 - BACKDATE);
        let old = t - 250 * DAY;
        let cases = [
            ("nothing", None, None, None, Action::NewCa),
            ("no leaf", ca("a", t), None, None, Action::NewLeaf),
            ("fresh", ca("a", t), None, leaf("a", t), Action::WaitUntil(t + renew_leaf)),
            ("leaf is due", ca("a", t - 61 * DAY), None, leaf("a", t - 61 * DAY), Action::NewLeaf),
            ("leaf expired", ca("a", t), ca("o", old), leaf("o", t - 91 * DAY), Action::NewLeaf),
            ("leaf of a stranger", ca("a", t), None, leaf("x", t), Action::NewLeaf),
            ("CA is due", ca("a", old), None, leaf("a", t), Action::NewCa),
            (
                "CA is due first",
                ca("a", t - 240 * DAY),
                None,
                leaf("a", t),
                Action::WaitUntil(t - 240 * DAY + renew_ca),
            ),
            ("CA just made", ca("b", t), ca("a", old), leaf("a", t - DAY), Action::WaitUntil(t + OVERLAP)),
            (
                "due leaf waits for the CA",
                ca("b", t),
                ca("a", old),
                leaf("a", t - 70 * DAY),
                Action::WaitUntil(t + OVERLAP),
            ),
            ("CA has settled", ca("b", t - OVERLAP), ca("a", old), leaf("a", t - DAY), Action::NewLeaf),
            ("leaf just switched", ca("b", t - OVERLAP), ca("a", old), leaf("b", t), Action::WaitUntil(t + OVERLAP)),
            ("leaf has settled", ca("b", t - DAY), ca("a", old), leaf("b", t - OVERLAP), Action::DropPrevious),
        ];
        for (name, ca, previous, leaf, expected) in cases {
            assert_eq!(due(t, &Material { ca, previous, leaf }, &["a".to_owned()]), expected, "{name}");
        }
        let moved = Material { ca: ca("a", t), previous: None, leaf: leaf("a", t) };
        assert_eq!(due(t, &moved, &["b".to_owned()]), Action::NewLeaf, "the namespace changed");
    }
}
