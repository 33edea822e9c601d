//! Events about the handling of chats, about employees and about their quick responses.

use super::{id, owned, parties, seconds};
use crate::event::{
    ChangeAction, Changed, ChatChange, Conversation, Employee, EmployeeAspect, EmployeeState, Kind, QuickResponse,
    QuickResponseAccess, QuickResponseAction, QuickResponseChange, QuickResponseList, QuickResponsePart,
};
use chatbridge_base::json::Json;

/// `None` for unknown events.
pub(super) fn of_chat(event: &str, item: &Json) -> Option<Kind> {
    let word = item.get("type").words();
    let added_or_removed = match word {
        Some("add") => ChangeAction::Added,
        Some("destroy") => ChangeAction::Removed,
        _ => ChangeAction::Unknown,
    };
    let pinned = match word {
        Some("pin") => ChangeAction::Set,
        Some("unpin") => ChangeAction::Cleared,
        _ => ChangeAction::Unknown,
    };
    let value_of = |name: &str| id(item.get(name));
    let (change, action, value) = match event {
        "chatTag" => (Changed::Tag, Some(added_or_removed), value_of("tag")),
        // Its `type` is the status.
        "chatStatus" => (Changed::Status, None, word.map(str::to_owned)),
        "chatResponsible" => (Changed::Responsible, None, value_of("responsible")),
        "chatResponsiblePin" => (Changed::ResponsiblePin, Some(pinned), None),
        "chatProducer" => (Changed::Producer, None, value_of("producer")),
        "chatAccomplice" => (Changed::Accomplice, Some(added_or_removed), value_of("accomplice")),
        "chatAuditor" => (Changed::Auditor, Some(added_or_removed), value_of("auditor")),
        "chatLevel" => (Changed::Level, None, value_of("level")),
        "chatConversation" => (Changed::Conversation, Some(ChangeAction::Set), value_of("conversation")),
        "chatRead" => (Changed::Read, Some(ChangeAction::Set), None),
        "chatProcess" => (Changed::Process, None, value_of("process")),
        _ => return None,
    };
    // Without an action of its own, the value is set or cleared.
    let by_value = || if value.is_some() { ChangeAction::Set } else { ChangeAction::Cleared };
    let is_conversation = change == Changed::Conversation;
    Some(Kind::ChatUpdate(Box::new(ChatChange {
        status: word.filter(|_| action.is_some()).map(str::to_owned),
        change: Some(change),
        action: Some(action.unwrap_or_else(by_value)),
        value,
        tag: parties::tag(item.get("tag")).filter(|_| change == Changed::Tag),
        conversation: is_conversation.then(|| conversation(item.get("conversation"))),
        changed_by: id(item.get("edited")),
        app: parties::app(item.get("fromApp")),
        ..ChatChange::default()
    })))
}

fn conversation(conversation: &Json) -> Conversation {
    Conversation {
        id: owned(conversation.get("id")),
        conversation_type: owned(conversation.get("type")),
        start_time: seconds(conversation.get("startTime")),
        end_time: seconds(conversation.get("endTime")),
    }
}

pub(super) fn employee(event: &str, item: &Json) -> Kind {
    let word = item.get("type").words();
    Kind::Employee(Employee {
        id: id(item.get("employee")),
        about: if event == "employeeWorkday" { EmployeeAspect::Workday } else { EmployeeAspect::Presence },
        state: EmployeeState::from_word(word.unwrap_or_default()),
        status: word.map(str::to_owned),
    })
}

pub(super) fn quick_response(event: &str, item: &Json) -> Kind {
    let word = item.get("type").words();
    let (list, response) = (item.get("quickResponseList"), item.get("quickResponse"));
    let is_list = event == "quickResponseList";
    Kind::QuickResponse(Box::new(QuickResponseChange {
        changed: if is_list { QuickResponsePart::List } else { QuickResponsePart::Response },
        action: QuickResponseAction::from_word(word.unwrap_or_default()),
        status: word.map(str::to_owned),
        list: list.is_object().then(|| response_list(list)),
        response: response.is_object().then(|| one_response(response)),
    }))
}

fn response_list(list: &Json) -> QuickResponseList {
    let access = list.get("access");
    let one = |access: &Json| QuickResponseAccess {
        user: owned(access.get("userId")),
        email: owned(access.get("email")),
        permission: owned(access.get("permission")),
    };
    QuickResponseList {
        id: owned(list.get("id")),
        name: owned(list.get("name")),
        sort: list.get("sort").integer(),
        access: matches!(access, Json::Array(_)).then(|| access.items().iter().map(one).collect()),
    }
}

fn one_response(response: &Json) -> QuickResponse {
    QuickResponse {
        id: owned(response.get("id")),
        name: owned(response.get("name")),
        sort: response.get("sort").integer(),
        parent: id(response.get("parent")),
        text: owned(response.get("text")),
        keywords: owned(response.get("keywords")),
        ai_enabled: response.get("enableAI").boolean(),
    }
}
