//! ChatApp's events while everything goes wrong at random: the Pusher server, the bridge, Kafka, the time of day,
//! tokens, requests, the disk. The publisher knows what it published and when; by that it is judged what came of it.
//!
//! `CHAOS_SEED=7 CHAOS_SECONDS=600` chooses another run of the long one.

use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use self::plan::{Density, plan};
use self::publisher::Publisher;
use self::stage::Stage;
use self::verdict::{Evidence, Verdict, verdict};
use crate::support::chatapp::Told;
use crate::support::record::read;

mod plan;
mod publisher;
mod stage;
mod verdict;

const LOOK: Duration = Duration::from_millis(20);
/// How long events flow before anything happens, and after everything is mended.
const CALM: Duration = Duration::from_secs(5);
/// Between two looks for what is not accounted for, and how many there are.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const LOOKS_MAX: u32 = 12;

#[test]
#[ignore = "starts a real Kafka"]
fn chatapp_lives_through_half_a_minute_of_chaos() {
    let density =
        Density { lasts: Duration::from_secs(25), pause: Duration::from_secs(6), hold_max: Duration::from_secs(3) };
    // One of each kind of trouble.
    run(12, density, 30);
}

/// `make soak`.
#[test]
#[ignore = "starts a real Kafka; a quarter of an hour"]
fn soak_chatapp_chaos() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().expect("a number"));
    let lasts = Duration::from_secs(number("CHAOS_SECONDS", 600));
    let density = Density { lasts, pause: Duration::from_secs(20), hold_max: Duration::from_secs(12) };
    run(number("CHAOS_SEED", 1), density, 40);
}

fn run(seed: u64, density: Density, events_per_second: u32) {
    let Some(mut stage) = Stage::new(seed) else { return };
    let begun = Instant::now();
    let plan = plan(&mut Rng::with_seed(seed), density, stage.has_disk());
    stage.look_after_bridge();
    stage.wait_until_settled();
    let publisher = Publisher::start(&stage.simulator, &stage.config, seed, events_per_second);
    pass(&mut stage, CALM);
    let chaos = Instant::now();
    for planned in &plan {
        pass(&mut stage, planned.at.saturating_sub(chaos.elapsed()));
        stage.act(&planned.act);
    }
    pass(&mut stage, density.lasts.saturating_sub(chaos.elapsed()));
    stage.mend();
    pass(&mut stage, CALM);
    let published = publisher.stopped();
    let mut looks = 0;
    let verdict = loop {
        stage.wait_until_settled();
        let Some(events) = read(&stage.broker.bootstrap(), "chat-events") else { return };
        let Some(letters) = read(&stage.broker.bootstrap(), "chat-events-dlq") else { return };
        let told = |value: &[u8]| serde_json::from_slice(value).expect("JSON");
        let records: Vec<Told> =
            events.into_iter().map(|record| Told { value: told(&record.value), key: record.key }).collect();
        let letters: Vec<Vec<u8>> = letters.into_iter().map(|letter| letter.value).collect();
        assert_eq!(stage.simulator.journal_left_out(), 0, "the journal is whole");
        let verdict = verdict(&Evidence {
            journal: &stage.simulator.journal(),
            records: &records,
            letters: &letters,
            published: &published,
            deaf: &stage.deaf,
            offsets: &stage.offsets,
        });
        looks += 1;
        if verdict.lost() == 0 || looks == LOOKS_MAX {
            break verdict;
        }
        thread::sleep(LOOK_AGAIN);
    };
    stage.end();
    tell(seed, &stage, &published, &verdict, plan.len(), begun);
    let keep = std::env::temp_dir().join(format!("chatbridge-chaos-{seed}.log"));
    let failed = |what: &str| -> String {
        let _ = std::fs::write(&keep, format!("{plan:#?}\n{verdict:#?}\n{}", stage.log));
        format!("seed {seed}: {what}; plan, verdict and log are in {}", keep.display())
    };
    let Verdict { items, .. } = &verdict;
    assert_eq!(verdict.lost(), 0, "{}", failed("lost"));
    assert!(verdict.bursts_disordered.is_empty() && items.out_of_order == 0, "{}", failed("out of order"));
    assert!(verdict.gaps_untrue.is_empty(), "{}", failed("gaps that are not true"));
    assert!(verdict.gaps_excessive.is_empty(), "{}", failed("gaps that are too long"));
    assert_eq!((items.wrong_key, items.repeated_under_another_id), (0, 0), "{}", failed("keys or ids"));
    assert!(!stage.log.contains("panicked"), "{}", failed("a panic"));
    assert!(items.pushed > 0 && items.fetched > 0 && items.in_gaps > 0, "{}", failed("it has shown nothing"));
}

/// Lets so much time pass, and looks after the bridge meanwhile.
fn pass(stage: &mut Stage, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        stage.look_after_bridge();
        thread::sleep(LOOK);
    }
}

fn tell(seed: u64, stage: &Stage, published: &publisher::Published, verdict: &Verdict, acts: usize, begun: Instant) {
    let items = &verdict.items;
    eprintln!(
        "ChatApp in chaos, seed {seed}: {acts} acts, {} starts of the bridge, unasked ends {:?}; {} events, {} items \
         (pushed {}, fetched {}, in gaps {}), {} bursts ({} events of them in gaps), {} odd frames; lost {}, out of \
         order {}, repeated {}; gaps told {}, untrue {}, too long {} (at most {} ms); {:.0} s",
        stage.starts,
        stage.unasked_ends,
        published.events,
        items.published,
        items.pushed,
        items.fetched,
        items.in_gaps,
        verdict.bursts,
        verdict.bursts_in_gaps,
        verdict.odd,
        verdict.lost(),
        items.out_of_order + verdict.bursts_disordered.len(),
        items.repeated,
        items.gaps,
        verdict.gaps_untrue.len(),
        verdict.gaps_excessive.len(),
        verdict.excess_ms_max,
        begun.elapsed().as_secs_f64(),
    );
}
