//! What is sent is what arrives, by count and by name.
//!
//! Owns:    floods whole and damaged, on one shard and on two.
//! Runs on: tests.            Plane: both.
//! Bounds:  some ten thousand messages a test.
//! Never:   measures a rate.

use std::collections::BTreeSet;

use tests::sink::assert_complete_and_ordered;
use tests::{Daemon, Ended, Place, Sink, tools};

const CONFIG: &str = r#"
[hekad]
log_flags = 0
shards = {shards}
base_dir = "{dir}"

[In]
type = "TcpInput"
address = "{host}:5565"
splitter = "Signed"

[Signed]
type = "HekaFramingSplitter"
[Signed.signer.alice_0]
hmac_key = "secret"

[Even]
type = "CounterFilter"
message_matcher = "Type == 'hekabench' && Fields[seq] < 5000"

[Signers]
type = "CounterFilter"
message_matcher = "Type == 'hekabench'"
message_signer = "alice"

[Out]
type = "TcpOutput"
use_buffering = false
message_matcher = "Type == 'hekabench'"
address = "{host}:5566"
"#;

/// Cores that a test may use, at most two.
fn two_if_there_are() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(2)
}

/// Runs a flood into a daemon on so many shards; answers how it ended and what came out.
fn flooded(shards: usize, arguments: &[&str]) -> (Ended, Sink) {
    let place = Place::new();
    let sink = Sink::listen(place.at(5566));
    let daemon = Daemon::start(&place, &CONFIG.replace("{shards}", &shards.to_string()));
    let address = place.at(5565).to_string();
    let mut all = vec!["flood", "--address", &address];
    all.extend_from_slice(arguments);
    tools::succeed(&all);
    let ended = daemon.stop();
    sink.wait_for(ended.count("outputs.Out.delivered") as usize);
    (ended, sink)
}

#[test]
fn signed_messages_all_arrive() {
    let (ended, sink) = flooded(
        1,
        &[
            "--messages",
            "20000",
            "--size",
            "500",
            "--signer",
            "alice",
            "--hmac-key",
            "secret",
        ],
    );
    assert_eq!(ended.count("inputs.In.received"), 20_000);
    assert_eq!(ended.count("inputs.In.delivered"), 20_000);
    assert_eq!(ended.dropped("In"), []);
    assert_eq!(ended.count("filters.Even.delivered"), 5_000);
    assert_eq!(ended.count("filters.Signers.delivered"), 20_000);
    let streams = sink.streams();
    assert_eq!(streams.len(), 1);
    assert_complete_and_ordered(&streams[0], 1, 20_000);
}

#[test]
fn of_damaged_ones_exactly_these_are_missing() {
    let (ended, sink) = flooded(
        1,
        &[
            "--messages",
            "20000",
            "--size",
            "500",
            "--signer",
            "alice",
            "--hmac-key",
            "secret",
            "--corrupt",
            "1",
        ],
    );
    assert_eq!(ended.count("inputs.In.received"), 20_000);
    assert_eq!(ended.count("inputs.In.delivered"), 19_800);
    assert_eq!(ended.dropped("In"), [("wrong_signature".to_owned(), 200)]);
    let seqs = sink.sorted();
    assert_eq!(seqs.len(), 19_800);
    assert_eq!(
        seqs.iter().collect::<BTreeSet<_>>().len(),
        19_800,
        "some came twice"
    );
}

#[test]
fn two_shards_deliver_what_one_does() {
    let arguments = [
        "--messages",
        "30000",
        "--size",
        "300",
        "--variable-size",
        "--connections",
        "4",
        "--seed",
        "3",
        "--signed",
        "50",
        "--signer",
        "alice",
        "--hmac-key",
        "secret",
    ];
    let runs = [1, two_if_there_are()].map(|shards| flooded(shards, &arguments));
    for (ended, sink) in &runs {
        let streams = sink.streams();
        assert_eq!(streams.len(), 1);
        assert_complete_and_ordered(&streams[0], 4, 30_000);
        assert_eq!(ended.count("filters.Signers.delivered"), 15_000);
    }
    let [(one, _), (two, _)] = &runs;
    for counter in [
        "inputs.In.received",
        "inputs.In.delivered",
        "inputs.In.bytes",
        "filters.Even.delivered",
        "outputs.Out.delivered",
        "outputs.Out.bytes",
    ] {
        assert_eq!(one.count(counter), two.count(counter), "{counter}");
    }
}
