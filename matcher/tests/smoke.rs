//! A set of several consumers answers with one bit for each.

use codecs::message::{Header, MessageTable, NewValue, TableLimits};
use matcher::{Consumer, Set, consumer_set};

#[test]
fn one_bit_for_each_consumer() {
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 4096,
        messages: 1,
        fields: 8,
    });
    let mut draft = table.begin().expect("room");
    draft.set(Header::Type, "hekabench").expect("room");
    draft.set_severity(3);
    draft
        .add_field("app", NewValue::String("a1".into()), None)
        .expect("room");
    let expressions = [
        "TRUE",
        "FALSE",
        "Type == 'hekabench' && Severity < 4",
        "Fields[app] == 'a2' || Pid > 5",
        "Type =~ /bench$/ && (Pid > 5 || Fields[app] == 'a1')",
        "Type =~ /b.n/",
        "Fields[x] == NIL",
        "Fields[x] != 'y'",
    ];
    let consumers: Vec<_> = expressions
        .iter()
        .map(|expression| Consumer {
            expression,
            signer: None,
        })
        .collect();
    let set = Set::build(&consumers).expect("valid expressions");
    let mut row = vec![u64::MAX; set.words()];
    set.search(&mut set.scratch(), table.get(0), None, &mut row);
    assert_eq!(
        consumer_set::iter(&row).collect::<Vec<_>>(),
        [0, 2, 4, 5, 6]
    );
}
