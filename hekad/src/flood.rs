//! `hekad flood`: sends many messages and says how many.
//!
//! Owns:    the sending threads, progress, totals and exit status.
//! Runs on: the main thread, and one thread a connection.            Plane: control.
//! Bounds:  one batch of about a megabyte a connection.
//! Never:   counts a message as sent that was not handed over whole.

mod batch;
mod link;
mod message;
mod mix;
mod pace;
mod settings;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::FloodArgs;
use crate::encryption;
use crate::failure::{EXIT_INTERRUPTED, Failure};
use crate::flood::batch::{Batch, Counts};
use crate::flood::link::Link;
use crate::flood::mix::Mix;
use crate::flood::pace::Pace;
use crate::flood::settings::Settings;
use crate::receiver;

/// Time between progress lines.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Longest sleep while waiting to connect again, so that a stop is seen.
const NAP: Duration = Duration::from_millis(50);

/// What the threads share: the totals so far.
#[derive(Debug, Default)]
struct Totals {
    messages: AtomicU64,
    bytes: AtomicU64,
    all: Mutex<Counts>,
    reconnects: AtomicU64,
}

impl Totals {
    fn add(&self, counts: Counts) {
        self.messages.fetch_add(counts.messages, Ordering::Relaxed);
        self.bytes.fetch_add(counts.bytes, Ordering::Relaxed);
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(counts);
    }
}

/// What a run came to.
#[derive(Debug)]
struct Outcome {
    counts: Counts,
    reconnects: u64,
    seconds: f64,
    first_error: Option<String>,
}

/// Runs the command.
pub(crate) fn flood(args: &FloodArgs) -> Result<ExitCode, Failure> {
    let settings = Settings::load(args)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second one ends the process at once.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(EXIT_INTERRUPTED),
            Arc::clone(&stop),
        )
        .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
        .map_err(|error| Failure::new(1, format!("cannot handle signals: {error}")))?;
    }
    let outcome = run(&settings, &stop);
    print_totals(&settings, &outcome, args.json);
    if let Some(error) = &outcome.first_error {
        return Err(Failure::new(
            1,
            format!("flood to {}: {error}", settings.address),
        ));
    }
    let complete = settings
        .messages
        .is_none_or(|messages| outcome.counts.messages == messages);
    Ok(if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_INTERRUPTED)
    })
}

/// Sends everything; returns when all connections have ended.
fn run(settings: &Settings, stop: &AtomicBool) -> Outcome {
    let mix = Mix::new(settings);
    let totals = Totals::default();
    let start = Instant::now();
    let (done, ended) = mpsc::channel();
    let mut first_error = None;
    thread::scope(|scope| {
        for connection in 0..settings.connections {
            let (mix, totals, done) = (&mix, &totals, done.clone());
            scope.spawn(move || {
                connection_thread(settings, mix, connection, totals, start, stop, &done)
            });
        }
        drop(done);
        first_error = watch(&ended, &totals, start);
    });
    let counts = *totals.all.lock().unwrap_or_else(PoisonError::into_inner);
    Outcome {
        counts,
        reconnects: totals.reconnects.load(Ordering::Relaxed),
        seconds: start.elapsed().as_secs_f64(),
        first_error: first_error.map(|failure: Failure| failure.to_string()),
    }
}

/// Prints progress until every thread has reported its end; answers the first error.
fn watch(
    ended: &mpsc::Receiver<Result<(), Failure>>,
    totals: &Totals,
    start: Instant,
) -> Option<Failure> {
    let mut first_error = None;
    let (mut messages_before, mut bytes_before) = (0, 0);
    let mut next = start + PROGRESS_EVERY;
    loop {
        match ended.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(result) => first_error = first_error.or(result.err()),
            Err(RecvTimeoutError::Disconnected) => return first_error,
            Err(RecvTimeoutError::Timeout) => {
                let messages = totals.messages.load(Ordering::Relaxed);
                let bytes = totals.bytes.load(Ordering::Relaxed);
                let gigabits =
                    (bytes - bytes_before) as f64 * 8.0 / 1e9 / PROGRESS_EVERY.as_secs_f64();
                let seconds = (next - start).as_secs();
                let rate = messages - messages_before;
                let _ = writeln!(
                    io::stderr(),
                    "{seconds:>4} s  {messages:>12} messages  {rate:>9}/s  {gigabits:.3} Gbit/s"
                );
                (messages_before, bytes_before) = (messages, bytes);
                next += PROGRESS_EVERY;
            }
        }
    }
}

fn connection_thread(
    settings: &Settings,
    mix: &Mix,
    connection: usize,
    totals: &Totals,
    start: Instant,
    stop: &AtomicBool,
    done: &Sender<Result<(), Failure>>,
) {
    let result = drive(settings, mix, connection, totals, start, stop);
    // The watcher is there until all senders are gone.
    let _ = done.send(result);
}

/// Sends this connection's share of the messages.
fn drive(
    settings: &Settings,
    mix: &Mix,
    connection: usize,
    totals: &Totals,
    start: Instant,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let stride = settings.connections as u64;
    let share = settings.messages.map_or(u64::MAX, |messages| {
        (messages + stride - 1 - connection as u64) / stride
    });
    let pace = Pace::new(start, settings.rate.map(|rate| rate / stride as f64));
    let mut batch = Batch::new(settings, mix, connection);
    let mut link: Option<Link> = None;
    let mut sent = 0;
    while sent < share && !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let due = pace.due(now).min(share);
        if due <= sent {
            thread::sleep(pace.nap(now, sent));
            continue;
        }
        let result = match &mut link {
            None => Link::open(settings).map(|open| link = Some(open)),
            Some(open) => {
                batch.fill(connection as u64 + sent * stride, stride, due - sent)?;
                let (frames, result) = open.send(&batch, stop);
                totals.add(batch.counts(frames));
                sent += frames as u64;
                result
            }
        };
        if let Err(error) = result {
            let error = encryption::in_flags(&receiver::explained(&error));
            let Some(pause) = settings.reconnect else {
                return Err(Failure::new(1, error));
            };
            link = None;
            totals.reconnects.fetch_add(1, Ordering::Relaxed);
            let _ = writeln!(
                io::stderr(),
                "hekad flood: {error}; connecting again in {} s",
                pause.as_secs()
            );
            sleep_unless_stopped(pause, stop);
        }
    }
    match link.map(Link::close) {
        // A stop does not wait for a receiver that takes nothing.
        Some(Err(error)) if !stop.load(Ordering::Relaxed) => Err(Failure::new(
            1,
            format!("the end of the connection: {error}"),
        )),
        _ => Ok(()),
    }
}

fn sleep_unless_stopped(pause: Duration, stop: &AtomicBool) {
    let end = Instant::now() + pause;
    while Instant::now() < end && !stop.load(Ordering::Relaxed) {
        thread::sleep(NAP.min(pause));
    }
}

fn print_totals(settings: &Settings, outcome: &Outcome, json: bool) {
    let counts = outcome.counts;
    let seconds = outcome.seconds.max(1e-9);
    let rate = counts.messages as f64 / seconds;
    let gigabits = counts.bytes as f64 * 8.0 / 1e9 / seconds;
    let text = if json {
        serde_json::json!({
            "sent": counts.messages,
            "corrupted": counts.corrupt,
            "corrupted_signed": counts.corrupt_signed,
            "signed": counts.signed,
            "oversized": counts.oversized,
            "bytes": counts.bytes,
            "seconds": outcome.seconds,
            "messages_per_second": rate,
            "gbit_per_second": gigabits,
            "connections": settings.connections,
            "reconnects": outcome.reconnects,
            "complete": settings.messages.is_none_or(|messages| messages == counts.messages),
        })
        .to_string()
    } else {
        format!(
            "sent {} messages ({} corrupted, of which {} signed; {} signed; {} oversized), {} bytes in {:.3} s: \
             {rate:.0} messages/s, {gigabits:.3} Gbit/s; {} reconnects",
            counts.messages,
            counts.corrupt,
            counts.corrupt_signed,
            counts.signed,
            counts.oversized,
            counts.bytes,
            outcome.seconds,
            outcome.reconnects,
        )
    };
    // A reader that went away does not want the totals.
    let _ = writeln!(io::stdout(), "{text}");
}
