//! The catalog service: a unary method and one that streams its responses.

use dreammesh::{Request, Response, Sender, Status};

use crate::proto::current::{Catalog, GetItemRequest, Item, ItemArgs, ListRequest};
use crate::stock::{self, Article};

/// The handlers of `shop.v1.Catalog`.
#[derive(Debug)]
pub(crate) struct Shelf;

impl Catalog for Shelf {
    async fn get_item(&self, request: Request<GetItemRequest>) -> Result<Response<Item>, Status> {
        // The view reads the request where it arrived; nothing was decoded.
        let article = stock::find(request.view().sku())?;
        Ok(Response::new(item(article)))
    }

    async fn list(&self, request: Request<ListRequest>, items: Sender<Item>) -> Result<(), Status> {
        let tag = request.view().tag();
        for article in stock::ARTICLES
            .iter()
            .filter(|article| article.tags.contains(&tag))
        {
            // This waits while the caller has no room for more.
            items.send(item(article)).await?;
        }
        Ok(())
    }
}

/// Borrows what it says: the message is archived before anything else happens to the article.
fn item(article: &Article) -> ItemArgs<'_> {
    ItemArgs {
        sku: article.sku,
        title: article.title,
        price_cents: article.price_cents,
        tags: article.tags.into(),
    }
}
