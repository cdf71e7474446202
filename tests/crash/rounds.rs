//! Rounds of deaths: some tenants, each with a death of its own, and what is there afterwards.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::Value;

use crate::{
    eventually::eventually,
    journal::Death,
    kubernetes::InKubernetes,
    normal::differences,
    objects::OPERATOR_NAMESPACE,
    operator::Operator,
    stage::Stage,
    tenant::{Phase, Standing, Tenant},
};

/// Our kinds, as the operator's metrics name them.
const KINDS: [&str; 5] = ["KeycloakServer", "Realm", "ModelEndpoint", "WorkloadIdentity", "AccessGrant"];
/// How many differences a failure tells of.
const TOLD: usize = 12;

/// How tenants should stand at the end.
pub enum Goal<'a> {
    /// Each object says that all is well. Where nothing is known of how it should be.
    Ready,
    /// Just so.
    Shape(&'a Value),
}

/// A few tenants and the operator that they have in common.
pub struct Round<'a> {
    pub stage: &'a Stage,
    pub tenants: Vec<Tenant>,
    operator: Option<Operator>,
}

impl<'a> Round<'a> {
    /// New tenants, and an operator that has nothing to do yet.
    pub async fn new(stage: &'a Stage, number: usize, tenants: usize) -> Self {
        let tenants = stage.tenants(number, tenants).await;
        let mut round = Self { stage, tenants, operator: None };
        round.restart().await;
        round
    }

    /// The operator dies, wherever it is, and another one begins with an empty memory. The journals begin anew too.
    async fn restart(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.die();
        }
        eventually("what the dead one had begun is done", async || self.are_idle()).await;
        self.note_anew(&[]);
        self.stage.common.begin(None);
        self.operator = Some(self.stage.operators.start(OPERATOR_NAMESPACE).await);
    }

    fn are_idle(&self) -> Result<(), String> {
        let journals = self.tenants.iter().map(|tenant| (tenant.name.as_str(), &tenant.journal));
        let mut journals = journals.chain([(OPERATOR_NAMESPACE, &self.stage.common)]);
        journals.find(|(_, journal)| !journal.is_idle()).map_or(Ok(()), |(name, _)| Err(format!("{name} is busy")))
    }

    fn note_anew(&self, deaths: &[Death]) {
        for (number, tenant) in self.tenants.iter().enumerate() {
            tenant.journal.begin(deaths.get(number).copied());
        }
    }

    /// A phase without a death. Gives the most writes that a tenant took.
    pub async fn live(&mut self, phase: Phase, goal: &Goal<'_>) -> usize {
        self.note_anew(&[]);
        self.begin(phase).await;
        self.wait(goal, false).await;
        self.tenants.iter().map(|tenant| tenant.journal.writes().len()).max().unwrap_or_default()
    }

    /// Phases, all begun at once, in which the operator dies. While it is dead, `meanwhile` is done to the tenants'
    /// objects. Gives how many died; where the point of a death is beyond the end of the work, all of that is done.
    pub async fn die(&mut self, phases: &[Phase], deaths: &[Death], goal: &Goal<'_>, meanwhile: &[Phase]) -> usize {
        self.note_anew(deaths);
        for phase in phases {
            self.begin(*phase).await;
        }
        self.wait(if meanwhile.is_empty() { goal } else { &Goal::Ready }, true).await;
        let died = self.tenants.iter().filter(|tenant| tenant.journal.is_dead()).count();
        if let Some(operator) = self.operator.take() {
            operator.die();
        }
        let before = self.stage.look(&self.tenants).await;
        for phase in meanwhile {
            self.begin(*phase).await;
        }
        self.restart().await;
        let after = self.wait(goal, false).await;
        for ((tenant, before), after) in self.tenants.iter().zip(&before).zip(&after) {
            assert_sound(tenant, &before.identities(), after);
        }
        assert_eq!(self.stage.common.writes(), [""; 0], "the certificates are there and stay as they are");
        died
    }

    async fn begin(&self, phase: Phase) {
        join_all(self.tenants.iter().map(|tenant| tenant.begin(&self.stage.cluster, phase))).await;
    }

    /// How each tenant stands, in words that all have in common.
    pub async fn shapes(&self) -> Vec<Value> {
        let standings = self.stage.look(&self.tenants).await;
        self.tenants.iter().zip(&standings).map(|(tenant, standing)| tenant.shape(standing)).collect()
    }

    /// Gives how the tenants stand then that are alive.
    async fn wait(&self, goal: &Goal<'_>, or_dead: bool) -> Vec<Standing> {
        eventually("every tenant has come to its end", async || self.have_come(goal, or_dead).await).await
    }

    async fn have_come(&self, goal: &Goal<'_>, or_dead: bool) -> Result<Vec<Standing>, String> {
        let alive: Vec<_> = self.tenants.iter().filter(|tenant| !(or_dead && tenant.journal.is_dead())).collect();
        if alive.is_empty() {
            return Ok(Vec::new());
        }
        self.are_idle()?;
        let everything = self.stage.cluster.everything().await;
        // Kubernetes first: Keycloak is asked only when there is something to see.
        for tenant in &alive {
            let kubernetes = InKubernetes::of(&everything, &tenant.name);
            match goal {
                Goal::Ready => kubernetes.is_ready().map_err(|what| format!("{}: {what}", tenant.name))?,
                Goal::Shape(shape) => told(tenant, &shape["kubernetes"], &tenant.shape_in_kubernetes(&kubernetes))?,
            }
        }
        let looks = alive.iter().map(|tenant| tenant.look(&everything, &self.stage.keycloak));
        let standings = join_all(looks).await;
        if let Goal::Shape(shape) = goal {
            alive.iter().zip(&standings).try_for_each(|(tenant, found)| told(tenant, shape, &tenant.shape(found)))?;
        }
        Ok(standings)
    }

    /// An operator with an empty memory looks at every object. Gives what it wrote.
    pub async fn look_again(&mut self) -> Vec<String> {
        self.restart().await;
        let everything = self.stage.cluster.everything().await;
        let of_tenants: Vec<_> =
            self.tenants.iter().map(|tenant| InKubernetes::of(&everything, &tenant.name)).collect();
        eventually("every object was looked at", async || {
            for kind in KINDS {
                let there: usize = of_tenants.iter().map(|tenant| tenant.count(kind)).sum();
                let passes = self.stage.operators.passes(kind).await;
                if passes < there {
                    return Err(format!("{passes} passes over {there} of kind {kind}"));
                }
            }
            Ok(())
        })
        .await;
        let of_tenants = self.tenants.iter().flat_map(|tenant| tenant.journal.writes());
        of_tenants.chain(self.stage.common.writes()).collect()
    }

    /// The next start, after all is done, finds nothing to do.
    pub async fn assert_at_rest(&mut self) {
        let again = self.look_again().await;
        assert!(again.is_empty(), "the second start after the death writes: {again:?}");
    }

    /// The end: what is left is removed by force.
    pub async fn end(mut self) {
        if let Some(operator) = self.operator.take() {
            operator.die();
        }
        join_all(self.tenants.iter().map(|tenant| tenant.wipe(&self.stage.cluster, &self.stage.keycloak))).await;
    }
}

fn told(tenant: &Tenant, expected: &Value, found: &Value) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let differences: Vec<_> = differences(expected, found).into_iter().take(TOLD).collect();
    Err(format!("{} stands otherwise than without a death: {}", tenant.name, differences.join("\n  ")))
}

/// Nothing belongs to nobody, and nothing that was there was made anew.
fn assert_sound(tenant: &Tenant, before: &BTreeMap<String, String>, after: &Standing) {
    let orphans = after.orphans();
    assert!(orphans.is_empty(), "{}: what belongs to no object: {orphans:?}", tenant.name);
    let after = after.identities();
    for (name, id) in before {
        // What was to go has gone.
        let Some(now) = after.get(name) else { continue };
        // A secret is not for a log.
        assert!(now == id, "{}: {name} is not the one that was there before the death", tenant.name);
    }
}
