//! Events about the instance itself, and the chat changes that share its notifications.

use super::owned;
use crate::event::{ChatChange, Device, Instance, InstanceState, Kind, Quota, QuotaState};
use chatbridge_base::json::Json;

pub(super) fn state(word: &Json) -> Instance {
    let word = word.words();
    Instance {
        state: Some(InstanceState::from_word(word.unwrap_or_default())),
        status: word.map(str::to_owned),
        ..Instance::default()
    }
}

/// Upstream also uses `deviceInfo` for a chat's new picture.
pub(super) fn device_info(body: &Json) -> Kind {
    let avatar = body.get("avatarInfo");
    if avatar.is_object() {
        return Kind::AvatarChanged(ChatChange {
            avatar_url: owned(avatar.get("urlAvatar")),
            account_exists: avatar.get("existsWhatsapp").boolean(),
            ..ChatChange::default()
        });
    }
    let data = body.get("deviceData");
    let device = Device {
        platform: owned(data.get("platform")),
        manufacturer: owned(data.get("deviceManufacturer")),
        model: owned(data.get("deviceModel")),
        os_version: owned(data.get("osVersion")),
        app_version: owned(data.get("waVersion")),
        battery: data.get("battery").integer(),
    };
    Kind::InstanceDevice(Instance { device: Some(device), ..Instance::default() })
}

pub(super) fn quota(data: &Json) -> Instance {
    let word = data.get("status").words();
    let quota = Quota {
        method: owned(data.get("method")),
        used: data.get("used").integer(),
        total: data.get("total").integer(),
        state: QuotaState::from_word(word.unwrap_or_default()),
        status: word.map(str::to_owned),
        description: owned(data.get("description")),
    };
    Instance { quota: Some(quota), ..Instance::default() }
}

/// One vendor page shows the quota under this type; the contents decide.
pub(super) fn incoming_block(body: &Json) -> Kind {
    let quota_data = body.get("quotaData");
    if quota_data.is_object() && body.get("chatState").is_null() {
        return Kind::QuotaExceeded(quota(quota_data));
    }
    Kind::ChatBlocked(ChatChange { status: owned(body.get("chatState")), ..ChatChange::default() })
}
