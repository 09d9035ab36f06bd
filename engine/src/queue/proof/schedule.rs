//! Random schedules of everything that happens to a queue, over a disk that fails.
//!
//! Owns:    the property: what was acknowledged comes back, nothing is made up, order is kept, recovery ends, and afterwards all works.
//! Runs on: tests.            Plane: data.
//! Bounds:  `HEKAD_QUEUE_CASES` cases from the seed `HEKAD_QUEUE_SEED` on: 2,000 from 0 on unless said otherwise.
//! Never:   fails without saying the seed; a single case tells its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use super::oracle::Oracle;
use crate::io::disk::model::{Faults, ModelDisk};
use crate::queue::lane::Lane;
use crate::queue::recovery::{OpenLane, Queue};
use crate::queue::view::View;
use crate::queue::{Entry, Item, Meta, Passed, Position, Settings, record_bytes_max};

const FOLDER: &str = "/base/queue";
const MESSAGE_BYTES_MAX: usize = 3000;

/// Disk operations that opening, or emptying, a queue of these sizes may take.
const OPERATIONS_MAX: u64 = 200_000;

/// A group of records on its way into a lane.
type Group = Vec<(u64, Vec<u8>)>;

struct Running {
    queue: Queue<ModelDisk>,
    /// Of each lane: what was appended and is not synced, or has to be appended again.
    groups: BTreeMap<u16, Group>,
    /// Of each lane: what was read and is not delivered.
    read: BTreeMap<u16, Vec<(u64, Position)>>,
}

struct Case {
    random: fastrand::Rng,
    disk: ModelDisk,
    faults: Faults,
    settings: Settings,
    oracle: Oracle,
    running: Option<Running>,
    /// Flips that hit a segment: each may cost a record.
    flips: usize,
    /// Flips that hit the owner's file: what it says is in every segment as well, but one of each is one too much.
    owner_flips: usize,
    crashes: usize,
    passed: Passed,
    buffer: Vec<u8>,
    now: i64,
    /// What happens is printed.
    told: bool,
}

impl Case {
    fn new(seed: u64, told: bool) -> Case {
        let mut random = fastrand::Rng::with_seed(seed);
        // The salt of a queue comes from here.
        fastrand::seed(seed);
        let rare = |random: &mut fastrand::Rng| [0, 0, 5, 30][random.usize(..4)];
        let faults = Faults {
            write: rare(&mut random),
            short_write: rare(&mut random) * 3,
            full: rare(&mut random),
            sync: rare(&mut random),
            read: rare(&mut random),
            short_read: rare(&mut random) * 3,
            other: rare(&mut random) / 3,
        };
        let settings = Settings {
            owner: "Queue".to_owned(),
            lanes: random.u16(1..=3),
            max_file_size: random.u64(500..12_000),
            message_bytes_max: MESSAGE_BYTES_MAX,
        };
        let spare = random.usize(..4000);
        Case {
            disk: ModelDisk::new(seed ^ 0x9e37_79b9_7f4a_7c15),
            random,
            faults,
            settings,
            oracle: Oracle::default(),
            running: None,
            flips: 0,
            owner_flips: 0,
            crashes: 0,
            passed: Passed::default(),
            buffer: vec![0; record_bytes_max(MESSAGE_BYTES_MAX) + spare],
            now: 0,
            told,
        }
    }

    fn run(&mut self) {
        let flips = self.random.u8(..4) == 0;
        if flips {
            // A file that could not be removed is told from one that counts by what a flip may hit: one failure at a time.
            self.faults.other = 0;
        }
        let crashes = self.random.bool();
        for _ in 0..self.random.u32(10..120) {
            self.now += 1;
            match self.random.u8(..100) {
                0..40 => self.append(),
                40..60 => self.commit(),
                60..75 => self.read(),
                75..85 => self.deliver(),
                85..88 => self.save(),
                88..89 => self.roll(),
                89..90 => self.give_up(),
                90..91 => self.go_back(),
                91..92 => self.look(),
                92..93 => self.close(),
                93..94 => self.repair(),
                94..96 => {
                    self.tell(format_args!("kill"));
                    self.running = None;
                }
                _ if crashes => self.crash(flips),
                _ => {}
            }
        }
        self.finish();
    }

    fn tell(&self, what: std::fmt::Arguments<'_>) {
        if self.told {
            eprintln!("{:>4}  {what}", self.now);
        }
    }

    /// The queue, opened if it is not.
    fn running(&mut self) -> &mut Running {
        if self.running.is_none() {
            self.settings.lanes = self.random.u16(1..=3);
            let queue = self.open();
            self.running = Some(Running {
                queue,
                groups: BTreeMap::new(),
                read: BTreeMap::new(),
            });
        }
        self.running.as_mut().expect("it is open")
    }

    /// Opens the queue. A disk that fails may be in the way for a while, damage never.
    fn open(&mut self) -> Queue<ModelDisk> {
        for attempt in 0.. {
            self.disk.set_faults(if attempt < 10 {
                self.faults
            } else {
                Faults::default()
            });
            self.disk.allow_operations(OPERATIONS_MAX);
            let opened = Queue::open(self.disk.clone(), Path::new(FOLDER), &self.settings);
            self.disk.set_faults(self.faults);
            match &opened {
                Ok(queue) => self.tell(format_args!("open: {:?}", queue.recovery)),
                Err(error) => self.tell(format_args!("open: {error}")),
            }
            match opened {
                Ok(queue) => return queue,
                Err(error) => assert!(attempt < 10, "a good disk, and yet: {error}"),
            }
        }
        unreachable!("it returns or fails")
    }

    /// A lane to write to.
    fn writer(&mut self) -> u16 {
        let lanes = self.running().queue.lanes.iter();
        let writers = lanes.filter(|lane| lane.writer.is_some()).count();
        self.random.usize(..writers) as u16
    }

    /// Appends some more, or what has failed before.
    fn append(&mut self) {
        let number = self.writer();
        let records = self.random.usize(1..8);
        let mut group = Group::new();
        for _ in 0..records {
            let len = match self.random.u8(..8) {
                0 => self.random.usize(..=MESSAGE_BYTES_MAX),
                _ => self.random.usize(..300),
            };
            group.push(self.oracle.message(len.max(8)));
        }
        self.put(number, group);
    }

    fn put(&mut self, number: u16, group: Group) {
        let gives_up = self.random.u8(..4) == 0;
        let now = self.now;
        let running = self.running();
        let waiting = running.groups.entry(number).or_default();
        let lane = lane_of(&mut running.queue, number);
        let result = lane.append(entries(&group), now);
        waiting.extend(group);
        let at = lane.published();
        self.tell(format_args!("append to {number}: {result:?} behind {at:?}"));
        if result.is_err() {
            self.again(number, gives_up);
        }
    }

    /// Puts a group that has failed into the lane again, or gives it up.
    fn again(&mut self, number: u16, gives_up: bool) {
        let now = self.now;
        let running = self.running();
        let waiting = running.groups.entry(number).or_default();
        let lane = lane_of(&mut running.queue, number);
        assert_eq!(
            lane.uncommitted_bytes(),
            0,
            "nothing of a failed group is left"
        );
        for _ in 0..3 {
            if !gives_up && lane.append(entries(waiting), now).is_ok() {
                return;
            }
        }
        waiting.clear();
    }

    fn commit(&mut self) {
        let number = self.writer();
        let gives_up = self.random.u8(..4) == 0;
        let running = self.running();
        let lane = lane_of(&mut running.queue, number);
        let before = lane.published();
        let result = lane.commit();
        self.tell(format_args!("commit {number}: {result:?}"));
        let running = self.running();
        let lane = lane_of(&mut running.queue, number);
        match result {
            Ok(synced) => {
                assert_eq!(synced.upto(), lane.published());
                assert!(synced.upto() >= before);
                let group = running.groups.remove(&number).unwrap_or_default();
                assert_eq!(synced.records(), group.len() as u64);
                self.oracle
                    .acknowledge(group.iter().map(|(number, _)| *number));
                self.hand_over(number, before, synced.from(), &group);
            }
            Err(_) => {
                assert_eq!(lane.published(), before);
                self.again(number, gives_up);
            }
        }
    }

    /// Gives the consumer the beginning of a group that was synced from memory, if it has all that was there before.
    fn hand_over(&mut self, number: u16, before: Position, from: Position, group: &Group) {
        let count = self.random.usize(..=group.len());
        let running = self.running();
        let open = &mut running.queue.lanes[usize::from(number)];
        if open.reader.position() != before || count == 0 {
            return;
        }
        let read = running.read.entry(number).or_default();
        let mut at = from;
        for ((id, _), entry) in group.iter().zip(entries(group)).take(count) {
            at = at.behind(1, entry.record_bytes());
            read.push((*id, at));
        }
        open.reader.advance(at);
        self.tell(format_args!("hand over {count} of {number}, to {at:?}"));
    }

    fn roll(&mut self) {
        let number = self.writer();
        let gives_up = self.random.u8(..4) == 0;
        let now = self.now;
        let running = self.running();
        let lane = lane_of(&mut running.queue, number);
        let result = lane.roll(now);
        self.tell(format_args!("roll {number}: {result:?}"));
        let running = self.running();
        match result {
            Ok(synced) => {
                let group = running.groups.remove(&number).unwrap_or_default();
                assert_eq!(synced.records(), group.len() as u64);
                self.oracle
                    .acknowledge(group.into_iter().map(|(number, _)| number));
            }
            Err(_) => self.again(number, gives_up),
        }
    }

    /// Takes back what is not synced.
    fn give_up(&mut self) {
        let number = self.writer();
        let running = self.running();
        running.groups.remove(&number);
        let lane = lane_of(&mut running.queue, number);
        lane.give_up();
        assert_eq!(lane.uncommitted_bytes(), 0);
    }

    fn any_lane(&mut self) -> usize {
        let lanes = self.running().queue.lanes.len();
        self.random.usize(..lanes)
    }

    /// Reads some, if the disk lets it.
    fn read(&mut self) {
        let at = self.any_lane();
        let most = self.random.usize(1..20);
        let mut buffer = std::mem::take(&mut self.buffer);
        let running = self.running();
        let open = &mut running.queue.lanes[at];
        let published = published(open);
        let mut items = Vec::new();
        let result = open.reader.read(&mut buffer, published, most, &mut items);
        running.read.entry(open.number).or_default();
        in_order(&items, published);
        let found: Vec<(Vec<u8>, Position)> = items
            .iter()
            .map(|item| (item.message.of(&buffer).to_vec(), item.after))
            .collect();
        let lane = open.number;
        let notices = open.reader.take_notices();
        self.tell(format_args!(
            "read {lane}: {result:?}, {} items, {notices:?}",
            items.len()
        ));
        if let Ok(passed) = result {
            self.passed.add(passed);
        }
        self.buffer = buffer;
        for (bytes, after) in found {
            let number = self.oracle.recognise(&bytes);
            let read = self.running().read.get_mut(&lane).expect("just read");
            read.push((number, after));
        }
    }

    /// Delivers a part of what was read.
    fn deliver(&mut self) {
        let at = self.any_lane();
        let part = self.random.f64();
        let running = self.running();
        let open = &mut running.queue.lanes[at];
        let read = running.read.entry(open.number).or_default();
        let count = (read.len() as f64 * part).ceil() as usize;
        let mut numbers = Vec::new();
        for (number, after) in read.drain(..count) {
            assert!(open.cursor.advance(after), "forward");
            numbers.push(number);
        }
        self.oracle.deliver(numbers);
    }

    fn save(&mut self) {
        let at = self.any_lane();
        let cursor = &mut self.running().queue.lanes[at].cursor;
        let mut back = cursor.position();
        back.offset = back.offset.saturating_sub(1);
        assert!(back == cursor.position() || !cursor.advance(back), "back");
        // What fails is tried again another time, or never.
        let result = cursor.save();
        let position = cursor.position();
        self.tell(format_args!("save {position:?}: {result:?}"));
    }

    /// Reads from the cursor on once more.
    fn go_back(&mut self) {
        let at = self.any_lane();
        let running = self.running();
        let open = &mut running.queue.lanes[at];
        open.reader.rewind(open.cursor.position());
        running.read.remove(&open.number);
    }

    /// Stops in order.
    fn close(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        self.tell(format_args!("close"));
        let mut groups = running.groups;
        for mut open in running.queue.lanes {
            if let Some(Ok(_)) = open.writer.map(Lane::close) {
                let group = groups.remove(&open.number).unwrap_or_default();
                self.oracle
                    .acknowledge(group.into_iter().map(|(number, _)| number));
            }
            let _ = open.cursor.save();
        }
    }

    /// Looks at it from outside, and reads what is there.
    fn look(&mut self) {
        let Ok(view) = View::look(self.disk.clone(), Path::new(FOLDER)) else {
            return;
        };
        let mut items = Vec::new();
        for lane in &view.lanes {
            let mut reader = lane.reader_of_all();
            let mut failures = 0;
            while reader.position() < lane.published && failures < 20 {
                let result = reader.read(&mut self.buffer, lane.published, 16, &mut items);
                failures += u32::from(result.is_err());
                for item in &items {
                    self.oracle.recognise(item.message.of(&self.buffer));
                }
            }
        }
    }

    /// Repairs it while nobody works on it. Afterwards there is nothing to repair.
    fn repair(&mut self) {
        self.close();
        self.disk.set_faults(Faults::default());
        for places in [u64::MAX, 0] {
            let opened = Queue::open_found(self.disk.clone(), Path::new(FOLDER));
            let Ok(mut queue) = opened else {
                assert!(places > 0, "it was opened before");
                break;
            };
            let repaired = queue.repair(self.now).expect("a good disk");
            self.tell(format_args!("{repaired:?}"));
            assert!(repaired.places <= places, "{repaired:?}");
        }
        self.disk.set_faults(self.faults);
    }

    /// Does something, in the midst of which the disk stops working for good.
    fn die_in_the_midst(&mut self) {
        self.disk.cut_power_after(self.random.u64(..30));
        self.tell(format_args!("dying"));
        if self.running.is_none() {
            let _ = Queue::open(self.disk.clone(), Path::new(FOLDER), &self.settings);
            return;
        }
        match self.random.u8(..5) {
            0 => self.close(),
            1 => self.roll(),
            2 => self.save(),
            _ => {
                self.append();
                self.commit();
            }
        }
    }

    fn crash(&mut self, flips: bool) {
        if self.random.bool() {
            self.die_in_the_midst();
        }
        self.running = None;
        self.disk.crash();
        self.crashes += 1;
        self.tell(format_args!("crash"));
        if flips && self.random.bool() {
            let hit = self.disk.flip_somewhere(Path::new(FOLDER));
            self.tell(format_args!("flip {hit:?}"));
            let kind = hit.and_then(|(path, _)| path.extension().map(|kind| kind.to_owned()));
            self.flips += usize::from(kind.as_ref().is_some_and(|kind| kind == "seg"));
            self.owner_flips += usize::from(kind.is_some_and(|kind| kind == "toml"));
        }
    }

    /// The disk is good from now on: everything must come back, and everything must work.
    fn finish(&mut self) {
        if self.random.bool() {
            self.crash(false);
        }
        self.running = None;
        self.faults = Faults::default();
        if self.random.bool() {
            self.repair();
        }
        let found = self.drain();
        let lost = self.oracle.lost(&found);
        assert!(
            lost.len() <= self.flips || self.owner_flips > 0 && self.flips > 0,
            "acknowledged and lost: {lost:?}, with {} flips",
            self.flips
        );
        if self.crashes == 0 {
            assert_eq!(self.passed, Passed::default(), "nothing was damaged");
        }
        self.running();
        let lanes = self.settings.lanes;
        for number in 0..lanes {
            let message = self.oracle.message(100);
            let id = message.0;
            self.put(number, vec![message]);
            let running = self.running();
            let lane = lane_of(&mut running.queue, number);
            let synced = lane.commit().expect("a good disk");
            assert_eq!(synced.records(), 1);
            self.oracle.acknowledge([id]);
        }
        self.close();
        let queue = self.open();
        assert_eq!(queue.recovery.total.cut_bytes, 0);
        let pending = |lane: &OpenLane<ModelDisk>| lane.recovery.pending_records;
        let pending: u64 = queue.lanes.iter().map(pending).sum();
        assert_eq!(pending, u64::from(lanes), "{queue:?}");
        drop(queue);
        assert_eq!(self.drain().len(), usize::from(lanes));
    }

    /// Reads and delivers everything; answers what it was.
    fn drain(&mut self) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        // The same lanes as last time: none is removed before it was looked at.
        let mut queue = self.open();
        self.disk.allow_operations(OPERATIONS_MAX);
        for open in &mut queue.lanes {
            let published = published(open);
            let mut last = None;
            let mut items = Vec::new();
            loop {
                let passed = open
                    .reader
                    .read(&mut buffer, published, 16, &mut items)
                    .expect("a good disk");
                self.passed.add(passed);
                let notices = open.reader.take_notices();
                self.tell(format_args!(
                    "drain {}: {passed:?}, {} items, {notices:?}",
                    open.number,
                    items.len()
                ));
                in_order(&items, published);
                for item in &items {
                    let number = self.oracle.recognise(item.message.of(&buffer));
                    if self.oracle.is_acknowledged(number) {
                        assert!(last < Some(number), "{number} comes behind {last:?}");
                        last = Some(number);
                    }
                    found.insert(number);
                    assert!(open.cursor.advance(item.after));
                }
                if items.is_empty() {
                    break;
                }
            }
            assert_eq!(open.reader.position(), published);
            assert!(open.cursor.advance(published));
            open.cursor.save().expect("a good disk");
        }
        self.buffer = buffer;
        found
    }
}

fn lane_of(queue: &mut Queue<ModelDisk>, number: u16) -> &mut Lane<ModelDisk> {
    let open = &mut queue.lanes[usize::from(number)];
    assert_eq!(open.number, number);
    open.writer.as_mut().expect("a lane to write to")
}

fn published(open: &OpenLane<ModelDisk>) -> Position {
    open.writer.as_ref().map_or(open.published, Lane::published)
}

fn entries(group: &Group) -> impl Iterator<Item = Entry<'_>> {
    group.iter().map(|(number, message)| Entry {
        message,
        loops: *number as u8,
        meta: number.is_multiple_of(3).then_some(Meta {
            cause: "refused",
            attempts: 3,
        }),
    })
}

/// Sequences grow, and stay within what was published.
fn in_order(items: &[Item], published: Position) {
    let mut sequence = 0;
    for item in items {
        assert!(
            item.sequence >= sequence,
            "{} before {sequence}",
            item.sequence
        );
        assert!(item.sequence < published.sequence && item.after <= published);
        assert_eq!(item.after.sequence, item.sequence + 1);
        sequence = item.sequence + 1;
    }
}

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text}: a number")),
    )
}

#[test]
fn what_was_acknowledged_comes_back_whatever_happens() {
    let seed = number_of("HEKAD_QUEUE_SEED");
    let few = if seed.is_some() { 1 } else { 2000 };
    let cases = number_of("HEKAD_QUEUE_CASES").unwrap_or(few);
    let first = seed.unwrap_or(0);
    let told = cases == 1;
    for seed in first..first + cases {
        let result = catch_unwind(AssertUnwindSafe(|| Case::new(seed, told).run()));
        if let Err(cause) = result {
            eprintln!("the case failed: HEKAD_QUEUE_SEED={seed} runs it again");
            resume_unwind(cause);
        }
    }
}
