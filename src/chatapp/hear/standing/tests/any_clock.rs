//! Whatever the time of day is set to, and whenever: what was not heard is told, and fetched, by the right time in the
//! end.

use proptest::prelude::*;

use super::*;

/// One thing that happens. Times are in seconds.
#[derive(Debug, Clone)]
enum Step {
    Pass(i64),
    /// The time of day is set so far ahead of the true one.
    Set(i64),
    Lost,
    Live,
    Heard,
    /// Gaps are told; the last one twice, where the process dies before it knows that it has.
    Tell {
        dies: bool,
    },
    /// The marks are written.
    Tick,
    FetchBegins,
    FetchEnds,
    /// The process dies and another begins.
    Restart,
    /// The machine stands still for so long, as a virtual one does that is stopped: one clock with it, and whoever had
    /// a connection to it has given it up.
    Stand(i64),
    /// The machine is started anew.
    Reboot,
}

fn steps(offsets: Vec<i64>, may_reboot: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => prop_oneof![0..20_i64, 0..3000_i64].prop_map(Step::Pass),
        3 => prop::sample::select(offsets).prop_map(Step::Set),
        3 => Just(Step::Lost),
        5 => Just(Step::Live),
        5 => Just(Step::Heard),
        6 => prop::bool::weighted(0.1).prop_map(|dies| Step::Tell { dies }),
        6 => Just(Step::Tick),
        2 => Just(Step::FetchBegins),
        2 => Just(Step::FetchEnds),
        2 => Just(if may_reboot { Step::Reboot } else { Step::Restart }),
        1 => Just(Step::Restart),
        1 => (3..20_000_i64).prop_map(Step::Stand),
    ];
    prop::collection::vec(step, 0..80)
}

/// The world as nobody in it knows it.
struct World {
    /// True seconds.
    now: i64,
    ahead: i64,
    boots: i64,
    /// Since the machine was started.
    up: i64,
    channel: Standing,
    disk: Option<Marks>,
    is_subscribed: bool,
    /// Since when it is subscribed, by the true time.
    heard_from: Option<i64>,
    /// True stretches in which whatever came was heard.
    heard: Vec<(i64, i64)>,
    first_heard: i64,
    told: Vec<(i64, i64)>,
    /// When the machine ran: of which start, from what true second and what second of its own on, and for how long.
    ran: Vec<(i64, i64, i64, i64)>,
    fetching: Option<(Unfetched, (i64, i64))>,
    fetched: Vec<(i64, i64)>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: 0,
            ahead: 0,
            boots: 0,
            up: 500,
            channel: Standing::new(at(0)),
            disk: None,
            is_subscribed: false,
            heard_from: None,
            heard: Vec::new(),
            first_heard: 0,
            told: Vec::new(),
            ran: vec![(0, 0, 500, 0)],
            fetching: None,
            fetched: Vec::new(),
        };
        // As for every channel, before anything can come.
        world.disk = Some(Marks::first(Some(&world.boot()), world.reading()));
        world.restart();
        world
    }

    fn boot(&self) -> String {
        format!("start {}", self.boots)
    }

    fn reading(&self) -> Reading {
        Reading { wall: wall(self.now + self.ahead), up: SignedDuration::from_secs(self.up) }
    }

    fn seconds(&self, (from, to): (Timestamp, Timestamp)) -> (i64, i64) {
        (from.as_second() - wall(0).as_second(), to.as_second() - wall(0).as_second())
    }

    fn restart(&mut self) {
        self.fetching = None;
        self.lost();
        self.channel = Standing::resumed(self.disk.clone(), Some(&self.boot()), self.reading());
    }

    fn lost(&mut self) {
        self.is_subscribed = false;
        self.heard_from = None;
        self.channel.lost(GapReason::Disconnected);
    }

    fn tell(&mut self, dies: bool) {
        self.channel.look_at_clock(self.reading());
        while let Some(gap) = self.channel.unheard() {
            let stretch = self.seconds(gap.told_at(self.reading(), OVERLAP));
            self.told.push(stretch);
            if dies {
                return self.restart();
            }
            self.channel.told(gap, self.reading(), true);
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.ran.push((self.boots, self.now, self.up, seconds));
        self.now += seconds;
        self.up += seconds;
    }

    /// When it was that second since the machine was started; the first time, where it stood still then.
    fn true_second(&self, up: i64) -> i64 {
        let at = |(boot, second, from, lasted): &(i64, i64, i64, i64)| {
            (*boot == self.boots && up <= from + lasted).then(|| second + (up - from))
        };
        self.ran.iter().find_map(at).unwrap_or(self.now)
    }

    /// What the keeper does every few seconds.
    fn tick(&mut self) {
        self.channel.look_at_clock(self.reading());
        let Some(marks) = self.channel.marks(Some(&self.boot()), self.reading()) else { return };
        let claimed = self.true_second(marks.heard.as_secs());
        let heard = self.heard.iter().map(|(_, to)| *to).max().unwrap_or(self.first_heard);
        assert!(claimed <= heard, "the mark says {claimed}, and {heard} is what was heard");
        self.disk = Some(marks);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Pass(seconds) => self.pass(seconds),
            Step::Set(ahead) => self.ahead = ahead,
            Step::Lost => self.lost(),
            Step::Live => {
                self.is_subscribed = true;
                self.heard_from = Some(self.now);
                self.channel.live(self.reading());
            }
            Step::Heard if self.is_subscribed => {
                self.heard.push((self.heard_from.expect("subscribed"), self.now));
                self.channel.heard(self.reading());
            }
            Step::Heard => {}
            Step::Stand(seconds) => {
                // Where the time of day is set back as well, before that is written down, nobody can tell that it did.
                self.tick();
                self.now += seconds;
                self.is_subscribed = false;
                self.tell(false);
                self.tick();
            }
            Step::Tell { dies } => self.tell(dies),
            Step::Tick => self.tick(),
            Step::FetchBegins => {
                self.channel.look_at_clock(self.reading());
                let gap = self.channel.unfetched();
                self.fetching = gap.map(|gap| (gap, self.seconds(gap.gap.told_at(self.reading(), OVERLAP))));
            }
            Step::FetchEnds => {
                if let Some((gap, stretch)) = self.fetching.take() {
                    self.fetched.push(stretch);
                    self.channel.fetched(gap);
                }
            }
            Step::Restart => self.restart(),
            Step::Reboot => {
                self.boots += 1;
                self.up = 0;
                self.pass(20);
                self.restart();
            }
        }
    }

    /// The clock is right at last, and everything has the time that it takes.
    fn ends(&mut self) {
        use Step::{FetchBegins, FetchEnds, Heard, Live, Lost, Pass, Set, Tell, Tick};
        let tell = Tell { dies: false };
        for step in
            [Set(0), Tick, Lost, Pass(1), Live, Pass(1), Heard, tell.clone(), Tick, tell, FetchBegins, FetchEnds]
        {
            self.step(&step);
        }
        self.step(&Tick);
        assert!(self.disk.as_ref().is_some_and(|marks| marks.unfetched.is_none()), "nothing is left to do");
    }

    /// Of the true seconds in which nothing was heard, some that none of `stretches` covers, if there are any.
    fn uncovered(&self, stretches: &[(i64, i64)]) -> Vec<i64> {
        // By so many seconds clocks may be apart.
        let near = 2;
        let is_heard = |second: i64| self.heard.iter().any(|(from, to)| (*from..=*to).contains(&second));
        let is_covered = |second| stretches.iter().any(|(from, to)| (from - near..=to + near).contains(&second));
        let beside = |(from, to): &(i64, i64), by: i64| [from - by, to + by];
        // Between two of these nothing changes.
        let heard = self.heard.iter().flat_map(|heard| beside(heard, 1));
        let covered = stretches.iter().flat_map(|stretch| beside(stretch, near + 1));
        let seconds = heard.chain(covered).filter(|second| (self.first_heard..=self.now).contains(second));
        seconds.filter(|second| !is_heard(*second) && !is_covered(*second)).collect()
    }
}

fn run(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.step(step);
    }
    world.ends();
    assert_eq!(world.uncovered(&world.told), [0_i64; 0], "nobody was told; told {:?}, {:?}", world.told, world.heard);
    assert_eq!(world.uncovered(&world.fetched), [0_i64; 0], "not fetched; {:?}, {:?}", world.fetched, world.heard);
}

const HOUR: i64 = 3600;
const YEAR_1970: i64 = -1_760_000_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_heard_is_told_and_fetched(
        steps in steps(vec![0, 0, 1, -1, 60, -60, 2 * HOUR, -2 * HOUR, 25 * HOUR, 300 * 24 * HOUR, YEAR_1970], false)
    ) {
        run(&steps);
    }

    /// A start of the machine takes away the other clock. A wrong time of day that has become a possible one cannot be
    /// known then; one that is out of the question is.
    #[test]
    fn also_where_the_machine_is_started_anew(steps in steps(vec![0, 0, 0, 300 * 24 * HOUR, YEAR_1970], true)) {
        run(&steps);
    }
}
