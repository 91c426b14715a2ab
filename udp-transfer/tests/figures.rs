//! The figures the transfer is held to, in virtual time. `cargo test --test figures -- --nocapture` prints them.

use arq::Policy;
use arq::congestion::Choice;
use netsim::{Chance, Impairment};
use udp_transfer::sim::{Contest, Course, Scenario, Table};

fn link(text: &str) -> Impairment {
    text.parse().expect("an impairment")
}

/// Selective repeat sends hardly more than it must: each block 1/(1-p) times in the mean, and at most 15 % on top.
#[test]
fn selective_repeat_sends_little_more_than_theory_asks() {
    for percent in [1_u32, 5, 20, 30] {
        let link = link(&format!("delay=10ms,loss={percent}%"));
        let (mut sent, mut blocks) = (0, 0);
        for seed in 0..100 {
            let run = Scenario { seed, blocks: 500, ..Scenario::default() }.over(&link).run();
            assert!(run.is_whole());
            (sent, blocks) = (sent + run.blocks_sent, blocks + run.blocks);
        }
        // Per block of the file, compared with 1 / (1 - p), in parts per million.
        let least = 100_000_000 / (100 - u64::from(percent));
        let ratio = sent * 1_000_000 / blocks * 1_000_000 / least;
        println!(
            "{percent} % loss: {sent} sendings for {blocks} blocks, {}.{:03} of the least",
            ratio / 1_000_000,
            ratio / 1_000 % 1_000
        );
        assert!(ratio <= 1_150_000, "{ratio} ppm at {percent} %");
    }
}

/// Ten MiB at 30 ms round trip and 100 Mbit/s: 2 % loss costs less than as much time again.
#[test]
fn two_percent_loss_costs_less_than_twice_the_time() {
    let congestion = Choice::default();
    let scenario = Scenario { blocks: 8_986, block: 1_167, credit: 2_048, congestion, ..Scenario::default() };
    let clean = scenario.clone().over(&link("delay=15ms,rate=100mbit")).run();
    assert!(clean.is_whole());
    let mut slowest = std::time::Duration::ZERO;
    for seed in 0..20 {
        let lossy = Scenario { seed, ..scenario.clone() }.over(&link("delay=15ms,rate=100mbit,loss=2%")).run();
        assert!(lossy.is_whole());
        slowest = slowest.max(lossy.time);
    }
    println!("10 MiB at 100 Mbit/s and 30 ms: {:?} without loss, at most {slowest:?} with 2 %", clean.time);
    assert!(slowest <= 2 * clean.time, "{slowest:?} against {:?}", clean.time);
}

/// A bottleneck of 10 Mbit/s with 25 packets of queue (the link of the QUIC interop runner) is used, and not flooded.
#[test]
fn a_small_queue_is_used_and_not_flooded() {
    for congestion in [Choice::NewReno, Choice::Cubic, Choice::Bbr] {
        let scenario = Scenario { blocks: 8_986, block: 1_167, credit: 2_048, congestion, ..Scenario::default() };
        let run = scenario.over(&link("delay=15ms,rate=10mbit,queue=30000B")).run();
        assert!(run.is_whole());
        let bits = run.blocks * 1_167 * 8;
        let goodput = bits * 1_000 / u64::try_from(run.time.as_millis()).unwrap();
        println!("{congestion}: {goodput} bit/s of payload, {} of {} sent again", run.sent_again, run.blocks_sent);
        assert!(goodput >= 9_000_000, "{congestion}: {goodput} bit/s");
        assert!(run.sent_again * 100 <= 3 * run.blocks_sent, "{congestion}: {} sent again", run.sent_again);
    }
}

/// A rate that was asked for is kept in every mode that could be faster: a megabit, headers included.
#[test]
fn a_rate_is_kept() {
    for policy in [Policy::RAW, Policy::go_back_n(64), Policy::SELECTIVE_REPEAT] {
        let rate = Some(1_000_000);
        let run = Scenario { policy, rate, blocks: 500, block: 1_167, ..Scenario::default() }.run();
        assert!(run.is_whole());
        let bits = run.blocks_sent * 1_200 * 8;
        let measured = bits * 1_000_000 / u64::try_from(run.last_stored.as_micros()).unwrap();
        println!("{policy}: {measured} bit/s where 1000000 were asked for");
        assert!((950_000..=1_025_000).contains(&measured), "{policy}: {measured} bit/s");
    }
}

/// The table of the lecture, kept under version control: a change of behaviour is a readable difference.
/// `UPDATE_TABLES=1` writes it anew.
#[test]
fn the_table_of_modes_and_losses_is_what_it_was() {
    let scenario = Scenario { blocks: 200, ..Scenario::default() };
    let modes =
        [Policy::RAW, Policy::STOP_AND_WAIT, Policy::go_back_n(8), Policy::go_back_n(64), Policy::SELECTIVE_REPEAT];
    let losses = [0, 1, 5, 10, 20, 30].map(Chance::from_percent);
    let table = Table::of(&scenario, &modes, &losses, 50);
    println!("{table}");
    let order = |row: &udp_transfer::sim::Row| row.time_per_block;
    for at in 0..losses.len() {
        let column: Vec<_> = table.rows.iter().skip(at).step_by(losses.len()).map(order).collect();
        let [_, stop_and_wait, few, _, selective] = column[..] else { panic!("{column:?}") };
        assert!(selective <= few && few <= stop_and_wait, "at {}: {column:?}", losses[at]);
    }
    held("mode-loss.txt", &table.to_string());
}

/// The table of congestion control, kept likewise; and that the default is what wins it.
#[test]
fn the_table_of_congestion_control_is_what_it_was_and_the_default_wins_it() {
    let contest = Contest::of(&Course::ALL, &[Choice::NewReno, Choice::Cubic, Choice::Bbr], 1);
    println!("{contest}");
    let best = Choice::default();
    for course in Course::ALL {
        let rows: Vec<_> = contest.rows.iter().filter(|row| row.course == course).collect();
        let ours = rows.iter().find(|row| row.congestion == best).expect("the default is among them");
        if course.beside.is_some() {
            assert!((250..=750).contains(&ours.used), "{course}: {} ‰", ours.used);
            continue;
        }
        // Of four seconds at 50 ms, startup alone takes a tenth.
        assert!(ours.used >= 890, "{course}: {} ‰", ours.used);
        for other in &rows {
            assert!(ours.used + 10 >= other.used, "{course}: {} ‰ by {}", other.used, other.congestion);
        }
    }
    held("congestion.txt", &contest.to_string());
}

fn held(name: &str, table: &str) {
    let path = format!("{}/tests/tables/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, table).expect("writing the table");
    }
    let expected = std::fs::read_to_string(&path).expect("reading the table");
    assert_eq!(table, expected, "UPDATE_TABLES=1 writes it anew");
}
