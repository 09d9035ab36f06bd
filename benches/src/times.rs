//! Timestamps: read by a layout, printed by a format.
//!
//! Owns:    the texts.
//! Runs on: the calling thread.            Plane: data.
//! Bounds:  one line each.
//! Never:   asks what time it is.

use codecs::time::{Strftime, TimestampParser, Zone};

use crate::measure::{Digest, Pass, Size};
use crate::messages;

pub(crate) fn parse(size: Size) -> Box<dyn FnMut() -> Pass> {
    let parser =
        TimestampParser::new("[02/Jan/2006:15:04:05 -0700]", "UTC").expect("a right layout");
    let texts: Vec<String> = (0..size.items()).map(messages::access_time).collect();
    Box::new(move || {
        let mut digest = Digest::default();
        let mut bytes = 0;
        for text in &texts {
            let time = parser
                .parse(text.as_bytes(), messages::NOW)
                .expect("the layout fits");
            digest.add(time as u64);
            bytes += text.len() as u64;
        }
        Pass {
            items: texts.len() as u64,
            bytes,
            digest: digest.value(),
        }
    })
}

pub(crate) fn print(size: Size) -> Box<dyn FnMut() -> Pass> {
    let format = Strftime::new("[%Y/%b/%d:%H:%M:%S %z]").expect("a right format");
    let zone = Zone::utc();
    let mut out = Vec::new();
    Box::new(move || {
        let mut digest = Digest::default();
        let mut bytes = 0;
        for index in 0..size.items() {
            out.clear();
            format.write(
                messages::NOW + index as i64 * 1_234_567_890,
                &zone,
                &mut out,
            );
            digest.add_bytes(&out);
            bytes += out.len() as u64;
        }
        Pass {
            items: size.items() as u64,
            bytes,
            digest: digest.value(),
        }
    })
}
