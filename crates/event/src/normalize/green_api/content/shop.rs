//! Products and orders (the vendor's pages ProductMessage and OrderMessage).

use super::super::owned;
use super::{chat_id, data_object, media};
use crate::event::content::{Media, Order, Product};
use chatbridge_base::json::Json;

/// The product's picture is a separate file, inside the product or beside it.
pub(super) fn product(place: &Json) -> Product {
    let data = data_object(place, &["productMessage"]);
    let image = [data, place].into_iter().find(|place| place.get("fileMessageData").is_object()).map(media::media);
    Product {
        product_id: owned(data.get("productId")),
        title: owned(data.get("title")),
        description: owned(data.get("description")),
        currency: owned(data.get("currencyCode")).or_else(|| owned(data.get("currency"))),
        price: owned(data.get("price")),
        url: owned(data.get("url")),
        image_count: data.get("productImageCount").integer(),
        image: image.filter(|image| *image != Media::default()),
    }
}

/// Except for the id, the token, the price and the seller, field names differ between sources.
pub(super) fn order(place: &Json) -> Order {
    let data = data_object(place, &["orderMessage"]);
    Order {
        order_id: owned(data.get("orderId")),
        token: owned(data.get("token")),
        seller_id: chat_id(data.get("sellerJid")),
        total_price: owned(data.get("totalPrice")),
        currency: ["currency", "currencyCode", "totalCurrencyCode"].iter().find_map(|name| owned(data.get(name))),
        item_count: data.get("itemCount").integer(),
        title: ["orderTitle", "title"].iter().find_map(|name| owned(data.get(name))),
        message: owned(data.get("message")),
        status: owned(data.get("status")),
    }
}
