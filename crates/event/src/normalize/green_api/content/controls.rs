//! Buttons and lists, and the presses on them.

use super::super::owned;
use super::{data_object, target};
use crate::event::Content;
use crate::event::content::{
    Button, ButtonKind, ButtonReply, Buttons, Control, Interactive, List, ListRow, ListSection, Template,
};
use chatbridge_base::json::Json;

/// Both spellings of the object.
const INTERACTIVE: [&str; 3] = ["interactiveButtons", "interactiveButtonsReply", "interactiveButtonReply"];

pub(super) fn buttons(place: &Json) -> Buttons {
    let data = data_object(place, &["buttonsMessage"]);
    Buttons {
        text: owned(data.get("contentText")),
        footer: owned(data.get("footer")),
        buttons: data.get("buttons").items().iter().map(|one| button(one, ButtonKind::Reply)).collect(),
    }
}

pub(super) fn list(place: &Json) -> List {
    let data = data_object(place, &["listMessage"]);
    List {
        text: owned(data.get("contentText")),
        title: owned(data.get("title")),
        footer: owned(data.get("footer")),
        button_text: owned(data.get("buttonText")),
        sections: data.get("sections").items().iter().map(section).collect(),
    }
}

fn section(section: &Json) -> ListSection {
    let row = |row: &Json| ListRow {
        id: owned(row.get("rowId")),
        title: owned(row.get("title")),
        description: owned(row.get("description")),
    };
    ListSection { title: owned(section.get("title")), rows: section.get("rows").items().iter().map(row).collect() }
}

pub(super) fn template(place: &Json) -> Template {
    let data = data_object(place, &["templateMessage"]);
    // Empty parameters stay, because parameters are identified by position.
    let params: Vec<_> =
        data.get("params").items().iter().map(|one| one.text().unwrap_or_default().to_owned()).collect();
    Template {
        template_id: owned(data.get("templateId")),
        params: (!params.is_empty()).then_some(params),
        namespace: owned(data.get("namespace")),
        element_name: owned(data.get("elementName")),
        title: owned(data.get("titleText")),
        text: owned(data.get("contentText")),
        footer: owned(data.get("footer")).or_else(|| owned(data.get("footerText"))),
        media_url: owned(data.get("mediaUrl")),
        buttons: data.get("buttons").items().iter().map(template_button).collect(),
    }
}

/// The name of the object inside a template's button says what the button does.
fn template_button(one: &Json) -> Button {
    let (kind, inside) = [
        (ButtonKind::Url, one.get("urlButton")),
        (ButtonKind::Call, one.get("callButton")),
        (ButtonKind::Reply, one.get("quickReplyButton")),
    ]
    .into_iter()
    .find(|(_, inside)| inside.is_object())
    .unwrap_or((ButtonKind::Unknown, one));
    Button {
        kind,
        id: owned(inside.get("id")),
        text: owned(inside.get("displayText")),
        index: one.get("index").integer(),
        url: owned(inside.get("url")),
        phone: owned(inside.get("phoneNumber")),
        code: None,
    }
}

/// The vendor's table, its samples and its own chat client use different names for the three texts.
pub(super) fn interactive(place: &Json) -> Content {
    let data = data_object(place, &INTERACTIVE);
    let buttons = data.get("buttons").items();
    let reply = reply(Control::Interactive, place, data);
    // The type's name is almost that of the *Response*, so the contents decide.
    if buttons.is_empty() && (reply.message_id.is_some() || reply.id.is_some() || reply.text.is_some()) {
        return Content::ButtonReply(reply);
    }
    Content::Interactive(Interactive {
        title: ["titleText", "headerText", "header"].iter().find_map(|name| owned(data.get(name))),
        text: owned(data.get("contentText")).or_else(|| owned(data.get("body"))),
        footer: owned(data.get("footerText")).or_else(|| owned(data.get("footer"))),
        buttons: buttons.iter().map(|one| button(one, ButtonKind::Unknown)).collect(),
    })
}

fn button(one: &Json, kind_where_unsaid: ButtonKind) -> Button {
    Button {
        kind: one.get("type").words().map_or(kind_where_unsaid, ButtonKind::from_word),
        id: owned(one.get("buttonId")),
        text: owned(one.get("buttonText")),
        index: None,
        url: owned(one.get("url")),
        phone: owned(one.get("phoneNumber")),
        code: owned(one.get("copyCode")),
    }
}

pub(super) fn buttons_reply(place: &Json) -> ButtonReply {
    reply(Control::Buttons, place, data_object(place, &["buttonsResponseMessage"]))
}

pub(super) fn list_reply(place: &Json) -> ButtonReply {
    let data = data_object(place, &["listResponseMessage", "ListResponseMessage"]);
    let chosen = data.get("singleSelectReply");
    ButtonReply {
        id: owned(chosen).or_else(|| owned(chosen.get("selectedRowId"))),
        text: owned(data.get("title")),
        ..reply(Control::List, place, data)
    }
}

pub(super) fn template_reply(place: &Json) -> ButtonReply {
    reply(Control::Template, place, data_object(place, &["templateButtonReplyMessage", "templateButtonsReplyMessage"]))
}

pub(super) fn interactive_reply(place: &Json) -> ButtonReply {
    let data = data_object(place, &["interactiveButtonsResponse"]);
    reply(Control::Interactive, place, data_object(data, &INTERACTIVE))
}

/// The selected button, under either set of names.
fn reply(control: Control, place: &Json, data: &Json) -> ButtonReply {
    ButtonReply {
        control,
        message_id: target(place, data),
        id: owned(data.get("selectedButtonId")).or_else(|| owned(data.get("selectedId"))),
        text: owned(data.get("selectedButtonText")).or_else(|| owned(data.get("selectedDisplayText"))),
        index: data.get("selectedIndex").integer(),
        list_type: data.get("listType").integer(),
    }
}
