//! Products and orders.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::Media;
use crate::event::ChatId;

/// A product of a catalogue.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Product {
    /// The product.
    pub product_id: Option<String>,
    /// Its name.
    pub title: Option<String>,
    /// More words.
    pub description: Option<String>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Its price as upstream writes it.
    pub price: Option<String>,
    /// Its page.
    pub url: Option<String>,
    /// How many pictures it has.
    pub image_count: Option<i64>,
    /// The first of them.
    pub image: Option<Media>,
}

/// A cart that was sent as an order.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Order {
    /// The order.
    pub order_id: Option<String>,
    /// The key to the order's details (GREEN-API's getOrderDetails). Treat as confidential.
    pub token: Option<String>,
    /// Whose catalogue it came from.
    pub seller_id: Option<ChatId>,
    /// The sum in minor units (250000 is 2500.00), as upstream writes it.
    pub total_price: Option<String>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// How many things were ordered.
    pub item_count: Option<i64>,
    /// The order's title.
    pub title: Option<String>,
    /// The buyer's words.
    pub message: Option<String>,
    /// Where the order stands, in upstream's word.
    pub status: Option<String>,
}
