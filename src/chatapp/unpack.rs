//! Out of the spool: what a frame holds, one by one. Pure.

use chatbridge_event::event::{Channel, Event, Gap, SourceId, Undecodable};
use chatbridge_event::record;

use super::spool::{Frame, Road};
use chatbridge_event::normalize::chatapp::{self as normalize, Arrival};

/// One thing that a frame holds.
pub(super) struct Item {
    /// The key of its record: what has the same one keeps its order.
    pub(super) key: String,
    /// For whom it was received.
    pub(super) channel: Option<Channel>,
    pub(super) content: Content,
}

pub(super) enum Content {
    Event(Box<Event>),
    /// Nobody can read it.
    Undecodable(SourceId, Undecodable),
}

/// What a frame holds, and in what wrapping.
pub(super) struct Unpacked {
    pub(super) items: Vec<Item>,
    pub(super) is_wrapped: bool,
    pub(super) is_without_items: bool,
}

impl Item {
    fn event(event: Event) -> Self {
        let source = event.source.id();
        let key = record::key(&source, event.chat.as_ref());
        Self { key, channel: source.channel().cloned(), content: Content::Event(Box::new(event)) }
    }

    fn undecodable(channel: Option<Channel>, undecodable: Undecodable) -> Self {
        let source = SourceId::ChatApp(channel.clone().unwrap_or(Channel::Unnamed));
        Self { key: source.key(), channel, content: Content::Undecodable(source, undecodable) }
    }
}

/// Never fails, and never comes back empty-handed.
pub(super) fn unpack(frame: Frame) -> Unpacked {
    let channel = frame.channel.as_deref().and_then(Channel::from_name);
    let one = |item| Unpacked { items: vec![item], is_wrapped: false, is_without_items: false };
    if frame.road == Road::Bridge
        && let Ok(Gap { from, to, reason, missing, .. }) = serde_json::from_slice(&frame.body)
    {
        let gap = normalize::gap(channel.as_ref().unwrap_or(&Channel::Unnamed), from, to, reason, missing);
        return one(Item::event(gap));
    }
    let body = match normalize::decode(frame.body) {
        Ok(body) => body,
        Err(undecodable) => return one(Item::undecodable(channel, undecodable)),
    };
    let items = normalize::normalize(Arrival { channel, event: frame.event, at: Some(frame.received_at) }, body);
    Unpacked {
        is_wrapped: items.is_wrapped(),
        is_without_items: items.is_without_items(),
        items: items.map(Item::event).collect(),
    }
}

#[cfg(test)]
mod tests;
