//! Micro-benchmarks of every crate, with the result of each checked.
//!
//! Owns:    `ALL`, the list of benchmarks, and the digests of what they compute.
//! Runs on: the calling thread.            Plane: data, by itself.
//! Bounds:  a few hundred messages in tests, a few thousand in a run.
//! Never:   depended on by another crate, or faster because it computes something else: a digest would differ.
#![forbid(unsafe_code)]

mod decoding;
mod encoding;
mod matching;
pub mod measure;
mod messages;
mod patterns;
mod queue;
mod routing;
mod scripts;
mod splitting;
mod times;

use measure::{Pass, Size};

/// One benchmark.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark {
    /// Its name; a run is asked for by a part of it.
    pub name: &'static str,
    /// What one pass does, and what an item is.
    pub about: &'static str,
    /// Digests of the result of one pass, small and full.
    pub digests: [u64; 2],
    /// Makes the input; the answer does one pass over it.
    pub prepare: fn(Size) -> Box<dyn FnMut() -> Pass>,
}

impl Benchmark {
    /// The digest that a pass of this size must have.
    pub fn digest(&self, size: Size) -> u64 {
        self.digests[size as usize]
    }
}

/// Every benchmark, along the way of a message.
#[rustfmt::skip]
pub const ALL: &[Benchmark] = &[
    Benchmark { name: "split-frames-256", about: "find Heka frames of 256 bytes, by frame", digests: [0xe9f0_39ae_97c8_ac7d, 0x5a98_2ebe_dfca_1418], prepare: splitting::frames_256 },
    Benchmark { name: "split-frames-256-signed", about: "the same, checking an MD5 signature of each", digests: [0xd07a_ff21_38c5_db78, 0xae54_f8b1_9544_4f18], prepare: splitting::frames_256_signed },
    Benchmark { name: "split-lines-256", about: "find lines of 256 bytes, by line", digests: [0x6d9c_507b_0442_7c72, 0x2789_984d_dfb5_d069], prepare: splitting::lines_256 },
    Benchmark { name: "split-regex-256", about: "the same by a regular expression", digests: [0x753c_1853_5542_9771, 0xc983_3378_15fb_e94f], prepare: splitting::regex_256 },
    Benchmark { name: "index-1024", about: "index protobuf messages of 1,024 bytes, by message", digests: [0x1c7a_9a50_6fdc_6493, 0xba94_75e1_4519_b7db], prepare: decoding::index_1024 },
    Benchmark { name: "index-256", about: "the same of 256 bytes", digests: [0x26ef_1117_095d_a5b0, 0x2e6e_9635_85c3_0701], prepare: decoding::index_256 },
    Benchmark { name: "decode-regex", about: "PayloadRegexDecoder on lines of an access log, by line", digests: [0xcb60_cfd0_da56_75d3, 0xca3c_ffbf_79d6_af12], prepare: decoding::regex },
    Benchmark { name: "match-10", about: "10 matchers on one message, by message", digests: [0xf63e_02bd_131a_6a69, 0x8838_de6e_07a7_6abe], prepare: matching::ten },
    Benchmark { name: "match-100", about: "100 matchers on one message, by message", digests: [0xf76e_170a_aced_ef25, 0x0bf2_19b9_476c_067c], prepare: matching::hundred },
    Benchmark { name: "match-1000", about: "1,000 matchers on one message, by message", digests: [0x02ba_440c_317d_e2ed, 0x505b_cbd8_c26d_fc82], prepare: matching::thousand },
    Benchmark { name: "route-batch-10", about: "index and route batches to 10 consumers, by message", digests: [0xf912_b60e_10e7_e266, 0x8221_ade3_0320_8c38], prepare: routing::ten },
    Benchmark { name: "queue-append-1024", about: "append messages to a lane of the disk queue, unsynced, and take them back, by message", digests: [0x9c88_dc40_3441_deb6, 0x8b87_ec6f_e390_5690], prepare: queue::append_1024 },
    Benchmark { name: "queue-read-1024", about: "read them from the page cache and check them, by message", digests: [0xa8dc_757d_d732_2f1e, 0xd4ed_26cd_13ef_f04c], prepare: queue::read_1024 },
    Benchmark { name: "encode-protobuf", about: "encode messages that were changed, by message", digests: [0x74be_9703_22df_4fdb, 0xaa1b_2775_8d7c_748a], prepare: encoding::protobuf },
    Benchmark { name: "encode-json", about: "write messages as JSON, by message", digests: [0x4f15_e10b_ed7f_62da, 0x3ebf_3b90_4cc1_9986], prepare: encoding::json },
    Benchmark { name: "script-empty", about: "call a script that does nothing, by message", digests: [0xbc47_16d9_63cb_6b07, 0x1b03_f0f3_7c80_42a3], prepare: scripts::empty },
    Benchmark { name: "script-read-5", about: "call one that reads three headers and two fields, by message", digests: [0xde44_edf9_f38a_ddb1, 0x19c4_7a54_a64c_39b1], prepare: scripts::reading },
    Benchmark { name: "script-count", about: "call one that counts by a field, by message", digests: [0x9ec4_a346_f488_2ece, 0x631b_fcba_c06d_851b], prepare: scripts::counting },
    Benchmark { name: "script-inject", about: "call one that injects a message made of a table, by message", digests: [0x939a_d353_5e3f_8cea, 0xd727_25e6_da7e_8d58], prepare: scripts::injecting },
    Benchmark { name: "time-parse", about: "read an access log's timestamp, by timestamp", digests: [0x119a_b24c_134b_9312, 0x9203_6874_1fa0_8536], prepare: times::parse },
    Benchmark { name: "time-strftime", about: "print a timestamp, by timestamp", digests: [0x8da1_e561_a43f_9f0d, 0xc4f0_ef8a_8304_15f1], prepare: times::print },
    Benchmark { name: "lpeg-access", about: "an LPeg grammar of nginx's access log, by line", digests: [0x35ef_0e72_a0ab_d1d0, 0xb8a6_a3f7_e63a_467c], prepare: patterns::access },
    Benchmark { name: "lpeg-rfc3339", about: "of timestamps, by timestamp", digests: [0x15c7_4f8e_6c8e_4605, 0x6301_82a3_b2be_6de9], prepare: patterns::rfc3339 },
    Benchmark { name: "lpeg-json", about: "of JSON, by text", digests: [0x863b_02cd_02bf_39cb, 0x8de3_344c_1ee6_87f2], prepare: patterns::json },
    Benchmark { name: "lpeg-syslog", about: "of syslog, by line", digests: [0x402f_d028_df57_4012, 0x0569_a611_b50a_f141], prepare: patterns::syslog },
    Benchmark { name: "lpeg-search", about: "a search with LPeg, by line", digests: [0x1948_a766_e40d_6b14, 0x3d90_8ddd_1ba9_d97e], prepare: patterns::search },
    Benchmark { name: "lpeg-escape", about: "a substitution with LPeg, by text", digests: [0x7073_d7ac_35ca_eb0a, 0x386b_cdef_9013_4872], prepare: patterns::escape },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_benchmark_computes_what_it_did() {
        let mut wrong = Vec::new();
        for benchmark in ALL {
            let mut pass = (benchmark.prepare)(Size::Small);
            let (first, second) = (pass(), pass());
            let items = Size::Small.items() as u64;
            assert_eq!(first.items, items, "{}", benchmark.name);
            assert!(first.bytes >= items, "{}", benchmark.name);
            assert_eq!(first, second, "{} changes its own input", benchmark.name);
            if first.digest != benchmark.digest(Size::Small) {
                wrong.push(format!("{}: {:#018x}", benchmark.name, first.digest));
            }
        }
        assert!(wrong.is_empty(), "other results than before: {wrong:#?}");
    }

    #[test]
    fn names_are_their_own() {
        for (at, benchmark) in ALL.iter().enumerate() {
            let others = &ALL[at + 1..];
            assert!(others.iter().all(|other| other.name != benchmark.name));
        }
    }
}
