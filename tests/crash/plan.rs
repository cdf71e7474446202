//! Which deaths there are, and how they are dealt out to tenants.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    journal::{Death, Side},
    normal::differences,
    rounds::{Goal, Round},
    stage::{LANES, Stage},
    tenant::Phase,
};

/// Points beyond the writes that were recorded: passes that come together in one run come one by one in another.
const MARGIN: usize = 6;
/// How often a run without a death is looked at again until nothing more is to do.
const LOOKS: usize = 4;

/// What the operator dies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// A phase of a tenant's life.
    Phase(Phase),
    /// The same as [`Phase::Create`]; while the operator is dead, all that was made is deleted again.
    CreateAndEmpty,
}

/// The works of a life, in order.
const LIFE: [Work; 6] = [
    Work::Phase(Phase::Found),
    Work::Phase(Phase::Create),
    Work::Phase(Phase::Change),
    Work::Phase(Phase::Empty),
    Work::CreateAndEmpty,
    Work::Phase(Phase::Remove),
];

/// What work is without a death.
struct Known {
    /// How a tenant stands at its end.
    shape: Value,
    /// The most writes that it took.
    writes: usize,
}

/// What came of the deaths in one work.
#[derive(Default)]
struct Tally {
    points: usize,
    deaths: usize,
    time: Duration,
}

/// All deaths in all works.
pub async fn die(stage: &Stage) {
    stage.note_common();
    let known = record(stage).await;
    let rounds = die_through_life(stage, &known).await;
    die_and_leave(stage, &known, rounds + 1).await;
}

/// Lives without a death, two side by side: they show what is every tenant's and what is one's own.
async fn record(stage: &Stage) -> BTreeMap<Phase, Known> {
    let mut round = Round::new(stage, 0, 2).await;
    let mut known = BTreeMap::new();
    for phase in [Phase::Found, Phase::Create, Phase::Change, Phase::Empty, Phase::Remove] {
        let writes = round.live(phase, &Goal::Ready).await;
        let mut looks = 0;
        while let again = round.look_again().await
            && !again.is_empty()
        {
            looks += 1;
            assert!(looks < LOOKS, "{phase:?}: a start writes again and again: {again:?}");
        }
        let shapes = round.shapes().await;
        let differences = differences(&shapes[0], &shapes[1]);
        assert!(differences.is_empty(), "{phase:?}: two tenants differ: {differences:?}");
        known.insert(phase, Known { shape: shapes[0].clone(), writes });
    }
    round.end().await;
    known
}

/// Each work with all its deaths. The tenants of a round die in each of them, at another point each. Gives the number
/// of rounds.
async fn die_through_life(stage: &Stage, known: &BTreeMap<Phase, Known>) -> usize {
    let deaths = LIFE.map(|work| work.deaths(known));
    let mut lots = deaths.each_ref().map(|deaths| deaths.chunks(LANES));
    let mut tallies = [(); LIFE.len()].map(|()| Tally::default());
    for number in 1.. {
        let drawn = lots.each_mut().map(|lots| lots.next().unwrap_or_default());
        let Some(last) = drawn.iter().rposition(|deaths| !deaths.is_empty()) else {
            LIFE.iter().zip(&tallies).for_each(|(work, tally)| tally.print(&format!("{work:?}"), work.writes(known)));
            return number;
        };
        let tenants = drawn.iter().map(|deaths| deaths.len()).max().unwrap_or_default();
        let mut round = Round::new(stage, number, tenants).await;
        for ((work, deaths), tally) in LIFE.iter().zip(drawn).zip(&mut tallies).take(last + 1) {
            match work {
                _ if !deaths.is_empty() => die_in(&mut round, *work, deaths, known, tally).await,
                // All of its deaths are done; what comes after it needs what it leaves.
                Work::Phase(phase) => drop(round.live(*phase, &Goal::Shape(&known[phase].shape)).await),
                Work::CreateAndEmpty => {}
            }
        }
        round.end().await;
    }
    unreachable!("the numbers have no end")
}

/// Everything is made at once, and all of it deleted while the operator is dead: nothing is left, and nobody waits. Where
/// it dies among the writes of the realm, which come first: what is made later was died in before.
async fn die_and_leave(stage: &Stage, known: &BTreeMap<Phase, Known>, number: usize) {
    let deaths = after_each(known[&Phase::Found].writes);
    let (mut tally, goal) = (Tally::default(), &known[&Phase::Remove].shape);
    for (at, lot) in deaths.chunks(LANES).enumerate() {
        let begun = Instant::now();
        let mut round = Round::new(stage, number + at, lot.len()).await;
        let work = [Phase::Found, Phase::Create];
        tally.deaths += round.die(&work, lot, &Goal::Shape(goal), &[Phase::Empty, Phase::Remove]).await;
        round.assert_at_rest().await;
        tally.add(lot, begun);
        round.end().await;
    }
    tally.print("All at once, deleted while dead", known[&Phase::Found].writes);
}

async fn die_in(
    round: &mut Round<'_>,
    work: Work,
    deaths: &[Death],
    known: &BTreeMap<Phase, Known>,
    tally: &mut Tally,
) {
    let begun = Instant::now();
    let (phase, meanwhile, end) = work.phases();
    tally.deaths += round.die(&[phase], deaths, &Goal::Shape(&known[&end].shape), meanwhile).await;
    round.assert_at_rest().await;
    tally.add(deaths, begun);
}

impl Work {
    /// What is begun, what is done while the operator is dead, and the phase at whose end all this is to end.
    fn phases(self) -> (Phase, &'static [Phase], Phase) {
        match self {
            Self::Phase(phase) => (phase, &[], phase),
            Self::CreateAndEmpty => (Phase::Create, &[Phase::Empty], Phase::Empty),
        }
    }

    fn writes(self, known: &BTreeMap<Phase, Known>) -> usize {
        known[&self.phases().0].writes
    }

    fn deaths(self, known: &BTreeMap<Phase, Known>) -> Vec<Death> {
        let writes = self.writes(known);
        // A server and its realm are made one write after the other: before one is after another. In the rest writes
        // are on their way side by side.
        if matches!(self, Self::CreateAndEmpty | Self::Phase(Phase::Found)) {
            return after_each(writes);
        }
        let sides = |write| [Side::Before, Side::After].map(|side| Death { write, side });
        (0..writes + MARGIN).flat_map(sides).collect()
    }
}

/// The world before the first write, and the one after each.
fn after_each(writes: usize) -> Vec<Death> {
    let first = Death { write: 0, side: Side::Before };
    std::iter::once(first).chain((0..writes + MARGIN).map(|write| Death { write, side: Side::After })).collect()
}

impl Tally {
    fn add(&mut self, deaths: &[Death], begun: Instant) {
        self.points += deaths.len();
        self.time += begun.elapsed();
    }

    fn print(&self, what: &str, writes: usize) {
        let Self { points, deaths, time } = self;
        println!("{what}: {writes} writes; {points} points, {deaths} deaths, {:.0} s", time.as_secs_f64());
    }
}
