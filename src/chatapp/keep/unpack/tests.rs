use jiff::Timestamp;

use super::*;
use chatbridge_event::event::{GapReason, Kind, KindName};

const CHANNEL: &str = "private-v1.licenses.1229.messengers.telegram";

fn frame(road: Road, channel: Option<&str>, body: &str) -> Frame {
    let received_at = Timestamp::from_second(1_760_000_000).expect("a time");
    let event = (road == Road::Push).then(|| "message".to_owned());
    Frame {
        road,
        channel: channel.map(str::to_owned),
        event,
        received_at,
        asked_behind: None,
        body: body.as_bytes().to_vec(),
    }
}

fn unpack(frame: Frame) -> Unpacked {
    unpack_at(frame, 1)
}

fn unpack_at(frame: Frame, sequence: u64) -> Unpacked {
    super::unpack(frame, Place { spool: uuid::Uuid::from_u128(7), sequence })
}

fn keys(unpacked: Unpacked) -> Vec<String> {
    unpacked.items.map(|item| item.key).collect()
}

fn only(unpacked: Unpacked) -> Item {
    let mut items = unpacked.items;
    let item = items.next().expect("never empty-handed");
    assert!(items.next().is_none());
    item
}

#[test]
fn each_item_of_a_body_has_the_key_of_its_chat() {
    let body = r#"{"data":[{"id":1,"chat":{"id":"a"}},{"id":2,"chat":{"id":"b"}},{"id":3,"chat":{"id":"a"}}],"meta":{"type":"message"}}"#;
    let unpacked = unpack(frame(Road::Push, Some(CHANNEL), body));
    assert!(!unpacked.is_wrapped && !unpacked.is_without_items);
    assert_eq!(keys(unpacked), ["a", "b", "a"]);
    let mut items = unpack(frame(Road::Push, Some(CHANNEL), body)).items;
    assert!(items.all(|item| item.channel == Channel::from_name(CHANNEL)));
    assert!(unpack(frame(Road::Push, Some(CHANNEL), &format!(r#"{{"payload":{body}}}"#))).is_wrapped);
}

#[test]
fn a_call_says_for_whom_it_is_and_what_says_nothing_is_kept_as_well() {
    let body = r#"{"data":[{"id":1}],"meta":{"type":"message","licenseId":1229,"messengerType":"telegram"}}"#;
    let unpacked = unpack(frame(Road::Callback, None, body));
    let item = only(unpacked);
    assert_eq!((item.channel, item.key.as_str()), (Channel::from_name(CHANNEL), "license:1229:telegram"));
    let unpacked = unpack(frame(Road::Callback, None, "[]"));
    assert!(unpacked.is_without_items);
    assert_eq!(keys(unpacked), ["chatapp"]);
}

#[test]
fn what_nobody_can_read_goes_to_the_dead_letters_of_its_channel() {
    let unpacked = unpack(frame(Road::Push, Some(CHANNEL), "{"));
    assert!(matches!(only(unpacked).content, Content::Undecodable(source, _, undecodable)
        if source.channel().and_then(Channel::name).as_deref() == Some(CHANNEL) && undecodable.bytes == b"{"));
}

#[test]
fn what_tells_nothing_of_itself_is_told_from_its_like_by_its_place() {
    let gap = Gap {
        channel: None,
        from: Timestamp::UNIX_EPOCH,
        to: Timestamp::UNIX_EPOCH,
        reason: GapReason::Silence,
        missing: vec![],
    };
    let gap = serde_json::to_string(&gap).expect("JSON");
    for (road, body) in
        [(Road::Push, r#"{"data":[{"n":1}]}"#), (Road::Push, "{"), (Road::Callback, "[]"), (Road::Bridge, &*gap)]
    {
        let id = |sequence| match only(unpack_at(frame(road, Some(CHANNEL), body), sequence)).content {
            Content::Event(event) => event.id,
            Content::Undecodable(_, id, _) => id,
        };
        assert_eq!(id(1), id(1), "{body}");
        assert_ne!(id(1), id(2), "{body}");
    }
}

#[test]
fn a_gap_is_read_back_as_it_was_told() {
    let at = |second| Timestamp::from_second(second).expect("a time");
    let gap = Gap {
        channel: Some(CHANNEL.to_owned()),
        from: at(1_760_000_000),
        to: at(1_760_000_060),
        reason: GapReason::Refused,
        missing: vec![KindName::MessageStatus, KindName::ChatUpdate],
    };
    let body = serde_json::to_string(&gap).expect("JSON");
    let unpacked = unpack(frame(Road::Bridge, Some(CHANNEL), &body));
    let item = only(unpacked);
    let Content::Event(event) = &item.content else { panic!("an event") };
    assert_eq!((&event.kind, item.key.as_str()), (&Kind::Gap(gap), "license:1229:telegram"));
}
