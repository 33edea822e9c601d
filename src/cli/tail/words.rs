//! An event in a few words. Goes by the names of the fields, so that topics of other versions are readable too.

use chatbridge_base::json::Json;

/// Fields that describe a content in words, in reading order.
const TELLING: &[&str] = &[
    "emoji",
    "file_name",
    "name",
    "group_name",
    "title",
    "text",
    "caption",
    "description",
    "address",
    "message",
    "type_message",
];

/// Who said what.
pub(super) fn of_event(event: &Json<'_>) -> String {
    let block = |name: &str| event.get(name);
    match block("kind").words().unwrap_or_default() {
        "message" => {
            let what = content(block("message").get("content"));
            match who(event) {
                who if who.is_empty() => what,
                who => format!("{who}: {what}"),
            }
        }
        "message_status" => some(block("status"), &["state", "description"], &["message_id"]),
        "call" => {
            let caller = block("call").get("caller_name").words().unwrap_or_default();
            let seconds = block("call").get("duration_seconds").words().map(|seconds| format!("{seconds} s"));
            joined([Some(some(block("call"), &["state"], &[])), Some(caller.to_owned()), seconds])
        }
        "quota_exceeded" => {
            let quota = block("instance").get("quota");
            let used = quota.get("used").words().zip(quota.get("total").words());
            joined([
                Some(some(quota, &["state", "method"], &[])),
                used.map(|(used, total)| format!("{used} of {total}")),
            ])
        }
        "instance_device" => some(block("instance").get("device"), &["platform", "manufacturer", "model"], &[]),
        "instance_state" | "instance_socket" => some(block("instance"), &["state"], &["status"]),
        "avatar_changed" => match block("chat_change").get("avatar_url").is_null() {
            true => "the picture is gone".to_owned(),
            false => "a new picture".to_owned(),
        },
        "chat_blocked" => some(block("chat_change"), &["status"], &[]),
        "chat_update" => {
            let name = block("chat_change").get("tag").get("name").words().map(str::to_owned);
            joined([Some(some(block("chat_change"), &["change", "action", "value"], &["status"])), name])
        }
        "employee" => some(block("employee"), &["about", "state", "id"], &["status"]),
        "quick_response" => {
            let part = |part: &str| some(block("quick_response").get(part), &["name", "id"], &[]);
            joined([
                Some(some(block("quick_response"), &["changed", "action"], &["status"])),
                Some(part("list")),
                Some(part("response")),
            ])
        }
        "gap" => some(block("gap"), &["reason", "from", "to", "channel"], &[]),
        _ => joined([
            Some(some(block("raw"), &["typeWebhook"], &[])),
            Some(some(block("raw").get("meta"), &["type"], &[])),
        ]),
    }
}

/// The sender and, in a group, the group as well.
fn who(event: &Json<'_>) -> String {
    let (chat, sender) = (event.get("chat"), event.get("sender"));
    let name =
        |of: &Json<'_>, fields: &[&str]| fields.iter().find_map(|field| of.get(field).words().map(str::to_owned));
    let is_private = chat.get("type").words().is_none_or(|sort| matches!(sort, "private" | "bot"));
    let is_ours = event.get("message").get("direction").words() == Some("outgoing");
    let group = if is_private { None } else { name(chat, &["name"]) };
    let person = if is_ours {
        name(event.get("message"), &["origin"])
    } else {
        name(sender, &["contact_name", "name"]).or_else(|| if is_private { None } else { name(sender, &["id"]) })
    };
    [group, person].into_iter().flatten().collect::<Vec<_>>().join(" / ")
}

fn content(content: &Json<'_>) -> String {
    let sort = content.get("type").words().unwrap_or("?");
    let listed = |field: &str| {
        let names: Vec<&str> = content.get(field).items().iter().filter_map(|item| item.get("name").words()).collect();
        (!names.is_empty()).then(|| names.join(" / "))
    };
    let place = content.get("latitude").words().zip(content.get("longitude").words());
    let said = joined([
        Some(some(content, TELLING, &[])),
        listed("contacts"),
        listed("options"),
        place.map(|(north, east)| format!("{north}, {east}")),
        Some(some(content.get("error"), &["code", "meaning"], &[])),
    ]);
    match sort {
        "text" | "link" if !said.is_empty() => said,
        _ if said.is_empty() => format!("[{sort}]"),
        _ => format!("[{sort}] {said}"),
    }
}

/// The fields that are present, then the `last` ones, unless the first said the same.
fn some(of: &Json<'_>, first: &[&str], last: &[&str]) -> String {
    let mut said: Vec<&str> = Vec::new();
    for word in first.iter().chain(last).filter_map(|field| of.get(field).words()) {
        if !said.contains(&word) {
            said.push(word);
        }
    }
    said.join(", ")
}

fn joined<const N: usize>(pieces: [Option<String>; N]) -> String {
    pieces.into_iter().flatten().filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join(", ")
}
