//! Locations, contacts and group invitations.

use super::super::owned;
use super::{chat_id, data_object};
use crate::event::content::{Contact, GroupInvite, Location};
use chatbridge_base::json::Json;

pub(super) fn location(place: &Json) -> Location {
    let data = data_object(place, &["locationMessageData", "location"]);
    Location {
        name: owned(data.get("nameLocation")),
        address: owned(data.get("address")),
        latitude: data.get("latitude").number(),
        longitude: data.get("longitude").number(),
        thumbnail: owned(data.get("jpegThumbnail")),
    }
}

pub(super) fn one_contact(place: &Json) -> Vec<Contact> {
    let card = contact(data_object(place, &["contactMessageData", "contact"]));
    if card == Contact::default() { many_contacts(place) } else { vec![card] }
}

/// The list is in a messageData inside messageData, or directly in messageData.
pub(super) fn many_contacts(place: &Json) -> Vec<Contact> {
    let data = data_object(place, &["messageData", "contactsArrayMessageData", "contactsArrayMessage"]);
    data.get("contacts").items().iter().map(contact).collect()
}

fn contact(card: &Json) -> Contact {
    Contact { name: owned(card.get("displayName")), vcard: owned(card.get("vcard")) }
}

pub(super) fn group_invite(place: &Json) -> GroupInvite {
    let data = data_object(place, &["groupInviteMessageData", "groupInviteMessage"]);
    GroupInvite {
        group_id: chat_id(data.get("groupJid")),
        group_name: owned(data.get("groupName")),
        code: owned(data.get("inviteCode")),
        expiration: data.get("inviteExpiration").integer().or_else(|| halves(data.get("inviteExpiration"))),
        caption: owned(data.get("caption")),
        name: owned(data.get("name")),
        thumbnail: owned(data.get("jpegThumbnail")),
    }
}

/// A 64-bit number as JavaScript libraries write it: two signed halves of 32 bits.
fn halves(long: &Json) -> Option<i64> {
    let low = u32::try_from(long.get("low").integer()? & 0xffff_ffff).ok()?;
    let high = long.get("high").integer().unwrap_or_default();
    high.checked_mul(1 << 32)?.checked_add(i64::from(low))
}
