//! The catalog service: a unary method and one that streams its responses.
//!
//! There are two revisions of it. The newer one knows more of each article; clients of both are
//! served by both.

use dreammesh::{Request, Response, Sender, Status};

use crate::proto::{current, newer};
use crate::stock::{self, Article};
use crate::traffic::INSTANCE;

/// The handlers of `shop.v1.Catalog`, in either revision.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// What this instance is called.
    pub(crate) instance: String,
}

impl current::Catalog for Shelf {
    async fn get_item(
        &self,
        request: Request<current::GetItemRequest>,
    ) -> Result<Response<current::Item>, Status> {
        // The view reads the request where it arrived; nothing was decoded.
        let article = stock::find(request.view().sku())?;
        let mut response = Response::new(item(article));
        self.sign(&mut response)?;
        Ok(response)
    }

    async fn list(
        &self,
        request: Request<current::ListRequest>,
        items: Sender<current::Item>,
    ) -> Result<(), Status> {
        for article in stock::tagged(request.view().tag()) {
            // This waits while the caller has no room for more.
            items.send(item(article)).await?;
        }
        Ok(())
    }
}

impl newer::Catalog for Shelf {
    async fn get_item(
        &self,
        request: Request<newer::GetItemRequest>,
    ) -> Result<Response<newer::Item>, Status> {
        let article = stock::find(request.view().sku())?;
        let mut response = Response::new(newer_item(article));
        self.sign(&mut response)?;
        Ok(response)
    }

    async fn list(
        &self,
        request: Request<newer::ListRequest>,
        items: Sender<newer::Item>,
    ) -> Result<(), Status> {
        for article in stock::tagged(request.view().tag()) {
            items.send(newer_item(article)).await?;
        }
        Ok(())
    }
}

impl Shelf {
    /// Says in the answer's metadata which instance it comes from.
    fn sign<T>(&self, response: &mut Response<T>) -> Result<(), Status> {
        let signed = response
            .metadata_mut()
            .insert(INSTANCE, self.instance.clone());
        signed.map_err(|error| Status::internal(error.to_string()))
    }
}

/// Borrows what it says: the message is archived before anything else happens to the article.
fn item(article: &Article) -> current::ItemArgs<'_> {
    current::ItemArgs {
        sku: article.sku,
        title: article.title,
        price_cents: article.price_cents,
        tags: article.tags.into(),
    }
}

fn newer_item(article: &Article) -> newer::ItemArgs<'_> {
    newer::ItemArgs {
        sku: article.sku,
        title: article.title,
        price_cents: article.price_cents,
        tags: article.tags.into(),
        weight_grams: Some(250),
        ..Default::default()
    }
}
