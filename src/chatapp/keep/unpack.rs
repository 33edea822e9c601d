//! Unpacks a frame into items, one at a time, each made when it is asked for. Pure.

use chatbridge_event::event::{Channel, DeadLetterReason, Event, EventId, Gap, SourceId, Undecodable};
use chatbridge_event::record;

use super::spool::{Frame, Road};
use super::suspects::LIVES_MAX;
use chatbridge_event::normalize::chatapp::identity::{Form, Place, of_unreadable};
use chatbridge_event::normalize::chatapp::{self as normalize, Arrival};

/// One item of a frame.
pub(crate) struct Item {
    /// The key of its record. Items with the same key keep their order.
    pub(crate) key: String,
    /// The channel it was received for.
    pub(crate) channel: Option<Channel>,
    pub(crate) content: Content,
    /// Which form of which subject it is, if any.
    pub(crate) form: Option<Form>,
}

pub(crate) enum Content {
    Event(Box<Event>),
    /// It cannot be read.
    Undecodable(SourceId, EventId, Undecodable),
}

/// The items of a frame, and how the body was wrapped.
pub(crate) struct Unpacked {
    pub(crate) items: Items,
    pub(crate) is_wrapped: bool,
    pub(crate) is_without_items: bool,
}

impl Unpacked {
    fn of_one(item: Item) -> Self {
        Self { items: Items::One(Some(Box::new(item))), is_wrapped: false, is_without_items: false }
    }
}

/// The items left in a frame.
pub(crate) enum Items {
    /// A frame that is one single item; `None` once it was taken.
    One(Option<Box<Item>>),
    Several(Box<normalize::Items>),
}

impl Iterator for Items {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        match self {
            Self::One(item) => item.take().map(|item| *item),
            Self::Several(items) => {
                let normalize::Item { event, form } = items.next()?;
                Some(Item::event(event, form))
            }
        }
    }
}

impl Item {
    fn event(event: Event, form: Option<Form>) -> Self {
        let source = event.source.id();
        let key = record::key(&source, event.chat.as_ref());
        Self { key, channel: source.channel().cloned(), content: Content::Event(Box::new(event)), form }
    }

    /// A lower estimate of the memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.content {
            Content::Event(event) => event.raw.get().len(),
            Content::Undecodable(_, _, undecodable) => undecodable.bytes.len(),
        }
    }

    fn undecodable(channel: Option<Channel>, undecodable: Undecodable, place: Place) -> Self {
        let source = SourceId::ChatApp(channel.clone().unwrap_or(Channel::Unnamed));
        let id = of_unreadable(&source.uri(), place);
        Self { key: source.key(), channel, content: Content::Undecodable(source, id, undecodable), form: None }
    }
}

/// The frame at `place`, unread: it ended the bridge too often.
pub(crate) fn crashed(frame: Frame, place: Place) -> Unpacked {
    let channel = frame.channel.as_deref().and_then(Channel::from_name);
    let error = format!("reading it ended the bridge {LIVES_MAX} times in a row");
    let undecodable = Undecodable { bytes: frame.body, reason: DeadLetterReason::Crashed, error };
    Unpacked::of_one(Item::undecodable(channel, undecodable, place))
}

/// Unpacks the frame at `place`. Never fails, and always returns at least one item.
pub(crate) fn unpack(frame: Frame, place: Place) -> Unpacked {
    let channel = frame.channel.as_deref().and_then(Channel::from_name);
    if frame.road == Road::Bridge
        && let Ok(gap) = serde_json::from_slice::<Gap>(&frame.body)
    {
        let gap = normalize::gap(channel.as_ref().unwrap_or(&Channel::Unnamed), gap, Some(place));
        return Unpacked::of_one(Item::event(gap, None));
    }
    let body = match normalize::decode(frame.body) {
        Ok(body) => body,
        Err(undecodable) => return Unpacked::of_one(Item::undecodable(channel, undecodable, place)),
    };
    let items = normalize::normalize(Arrival { channel, event: frame.event, place: Some(place) }, body);
    Unpacked {
        is_wrapped: items.is_wrapped(),
        is_without_items: items.is_without_items(),
        items: Items::Several(Box::new(items)),
    }
}

#[cfg(test)]
mod tests;
