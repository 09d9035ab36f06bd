//! Whether everything that was sent came out.
//!
//! Owns:    the comparison of counts; a rate without it is no result.
//! Runs on: the measuring process, after each measurement.            Plane: control.
//! Bounds:  one pass over an output file.
//! Never:   tolerates a difference.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use codecs::field::Span;
use codecs::message::{MessageTable, TableLimits};
use matcher::Plain;
use serde_json::Value;

use crate::cli::Format;
use crate::receiver::Received;
use crate::scenario::{Destination, Matchers, Scenario};
use crate::sender::Sent;
use crate::traffic::Traffic;

/// Longest wait for a peer's statistics to show everything.
const STATISTICS_MAX: Duration = Duration::from_secs(10);

/// What is known after a measurement.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    /// What was sent.
    pub(crate) sent: &'a Sent,
    /// Datagrams that the kernel dropped, by its own count.
    pub(crate) lost: u64,
    /// hekad's report.
    pub(crate) report: Option<&'a Value>,
    /// Messages taken, by a peer's own statistics.
    pub(crate) counted: Option<u64>,
    /// What the sink behind a relay saw.
    pub(crate) sink: Option<&'a Received>,
    /// The file that was written.
    pub(crate) file: Option<PathBuf>,
}

/// How many messages of one buffer each matcher accepts, by the plain evaluator.
pub(crate) fn expected(
    traffic: &Traffic,
    format: Format,
    case: Matchers,
) -> Result<Vec<u64>, String> {
    if format != Format::Frames {
        return Ok(vec![traffic.messages() as u64; case.count()]);
    }
    let matchers = case
        .expressions()
        .iter()
        .map(|text| Plain::new(text).map_err(|error| error.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut counts = vec![0; matchers.len()];
    let largest = traffic.iter().map(<[u8]>::len).max().unwrap_or(0);
    let mut table = MessageTable::new(TableLimits {
        received_bytes: largest,
        arena_bytes: 0,
        messages: 1,
        fields: 16,
    });
    for frame in traffic.iter() {
        table.clear();
        table.received_mut()[..frame.len()].copy_from_slice(frame);
        let message = Span::new(usize::from(frame[1]) + 3, frame.len());
        let mut draft = table.begin().map_err(|error| error.to_string())?;
        draft
            .index_protobuf(message)
            .map_err(|error| format!("{error:?}"))?;
        for (count, matcher) in counts.iter_mut().zip(&matchers) {
            *count += u64::from(matcher.matches(table.get(0)));
        }
    }
    Ok(counts)
}

/// Compares everything that is known.
pub(crate) fn check(
    scenario: &Scenario,
    case: Matchers,
    outcome: &Outcome<'_>,
) -> Result<(), String> {
    let sent = outcome.sent;
    if let Some(report) = outcome.report {
        check_inputs(report, sent.messages, outcome.lost)?;
        if scenario.destination == Destination::Counters {
            let traffic = Traffic::new(scenario.format, scenario.message_bytes, case.types())?;
            let per_buffer = expected(&traffic, scenario.format, case)?;
            check_filters(report, &per_buffer, sent.buffers, outcome.lost)?;
        }
    }
    if let Some(counted) = outcome.counted {
        same("messages in its statistics", counted, sent.messages)?;
    }
    if let Some(sink) = outcome.sink {
        same("bytes at the sink", sink.bytes, sent.bytes)?;
        same("misplaced frames at the sink", sink.misplaced, 0)?;
    }
    if let Some(path) = &outcome.file {
        let (bytes, lines) =
            count_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
        same("bytes in the file", bytes, sent.bytes)?;
        same("lines in the file", lines, sent.messages)?;
    }
    Ok(())
}

fn same(what: &str, seen: u64, expected: u64) -> Result<(), String> {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{what}: {seen}, but {expected} were expected"))
}

fn number(value: &Value, key: &str) -> Result<u64, String> {
    value[key]
        .as_u64()
        .ok_or_else(|| format!("the report has no number {key:?} in {value}"))
}

/// The ledger of the inputs: it balances, and says what was sent.
fn check_inputs(report: &Value, messages: u64, lost: u64) -> Result<(), String> {
    let inputs = report["inputs"]
        .as_object()
        .ok_or("the report has no inputs")?;
    let mut arrived = 0;
    let mut kernel_drops = 0;
    for (name, input) in inputs {
        let dropped = input["dropped"]
            .as_object()
            .ok_or("an input without drops")?;
        let drops: u64 = dropped.values().filter_map(Value::as_u64).sum();
        let received = number(input, "received")?;
        let settled = number(input, "delivered")?
            + number(input, "unmatched")?
            + number(input, "in_flight")?
            + drops;
        same(
            &format!("ledger of {name}: delivered, unmatched, in flight and dropped"),
            settled,
            received,
        )?;
        same(
            &format!("{name}: messages in flight at the end"),
            number(input, "in_flight")?,
            0,
        )?;
        let kernel = dropped
            .get("kernel_drop")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        same(
            &format!("{name}: messages dropped other than by the kernel"),
            drops - kernel,
            0,
        )?;
        kernel_drops += kernel;
        arrived += received - kernel;
    }
    same("messages received", arrived, messages - lost)?;
    // The kernel tells of a drop with the next datagram; drops after the last one are seen from outside only.
    if kernel_drops > lost {
        return Err(format!(
            "{kernel_drops} datagrams reported as dropped by the kernel, which counts {lost}"
        ));
    }
    Ok(())
}

/// Each counting filter got exactly what its matcher accepts of the traffic. Which datagrams were lost is not known, so
/// of datagrams only the sum is compared.
fn check_filters(
    report: &Value,
    per_buffer: &[u64],
    buffers: u64,
    lost: u64,
) -> Result<(), String> {
    for (index, count) in per_buffer.iter().enumerate() {
        let name = format!("counter_{index}");
        let filter = &report["filters"][&name];
        same(
            &format!("messages at {name}"),
            number(filter, "delivered")?,
            count * buffers - lost,
        )?;
    }
    Ok(())
}

/// Bytes and newlines of a file.
fn count_file(path: &Path) -> std::io::Result<(u64, u64)> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let (mut bytes, mut lines) = (0, 0);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((bytes, lines));
        }
        bytes += count as u64;
        lines += buffer[..count]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count() as u64;
    }
}

/// What a peer's own statistics say that it took; waits until they show `messages` or a time is over. `None` where the
/// destination tells more exactly, and for hekad.
pub(crate) fn counted_by_peer(
    name: &str,
    dir: &Path,
    destination: Destination,
    messages: u64,
) -> Result<Option<u64>, String> {
    if destination != Destination::Counters || name == "hekad" {
        return Ok(None);
    }
    let look: fn(&Path) -> Option<u64> = match name {
        "rsyslogd" => rsyslog_count,
        "syslog-ng" => syslog_ng_count,
        _ => {
            return Err(format!(
                "perf does not know where {name} shows how many messages it took"
            ));
        }
    };
    let deadline = Instant::now() + STATISTICS_MAX;
    loop {
        let counted = look(dir);
        if counted.is_some_and(|counted| counted >= messages) || Instant::now() > deadline {
            return counted
                .map(Some)
                .ok_or_else(|| format!("{name} shows no statistics"));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The newest line of impstats that tells of the input.
fn rsyslog_count(dir: &Path) -> Option<u64> {
    let text = fs::read_to_string(dir.join("stats.json")).ok()?;
    text.lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(&line[line.find('{')?..]).ok())
        .find_map(|entry| entry["submitted"].as_u64())
}

/// The counter of the source, over the control socket.
fn syslog_ng_count(dir: &Path) -> Option<u64> {
    let output = Command::new("syslog-ng-ctl")
        .arg("stats")
        .arg("-c")
        .arg(dir.join("control"))
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.split(';').collect::<Vec<_>>())
        .find(|columns| {
            columns.len() == 6 && columns[..2] == ["source", "s_lines"] && columns[4] == "processed"
        })
        .and_then(|columns| columns[5].parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(received: u64, delivered: u64, kernel_drop: u64, counted: u64) -> Value {
        json!({
            "inputs": {"TcpInput": {
                "received": received, "delivered": delivered, "unmatched": 0, "in_flight": 0, "bytes": 1,
                "dropped": {"kernel_drop": kernel_drop},
            }},
            "outputs": {},
            "filters": {"counter_0": {"delivered": counted}},
        })
    }

    #[test]
    fn a_ledger_that_does_not_balance_is_found() {
        assert_eq!(check_inputs(&report(10, 10, 0, 10), 10, 0), Ok(()));
        assert_eq!(check_inputs(&report(10, 7, 3, 7), 10, 3), Ok(()));
        // The kernel dropped one more after the last datagram.
        assert_eq!(check_inputs(&report(9, 7, 2, 7), 10, 3), Ok(()));
        assert!(check_inputs(&report(10, 9, 0, 10), 10, 0).is_err());
        assert!(check_inputs(&report(9, 9, 0, 9), 10, 0).is_err());
        assert!(check_inputs(&report(11, 7, 4, 7), 10, 3).is_err());
        assert!(check_inputs(&json!({}), 0, 0).is_err());
    }

    #[test]
    fn a_filter_that_missed_one_is_found() {
        assert_eq!(check_filters(&report(10, 10, 0, 10), &[5], 2, 0), Ok(()));
        assert!(check_filters(&report(10, 10, 0, 9), &[5], 2, 0).is_err());
        assert!(check_filters(&report(10, 10, 0, 10), &[5, 5], 2, 0).is_err());
    }

    #[test]
    fn every_matcher_of_every_case_accepts_some_but_not_all() {
        for case in [Matchers::ByType(10), Matchers::Mixed] {
            let traffic = Traffic::new(Format::Frames, 1024, case.types()).unwrap();
            let counts = expected(&traffic, Format::Frames, case).unwrap();
            let exclusive = matches!(case, Matchers::ByType(_));
            assert_eq!(
                counts.iter().sum::<u64>() == traffic.messages() as u64,
                exclusive
            );
            for (count, expression) in counts.iter().zip(case.expressions()) {
                let never = expression.contains("NIL");
                assert!(
                    (*count > 0) != never && *count < traffic.messages() as u64,
                    "{expression}: {count}"
                );
            }
        }
    }
}
