//! The customers: every method, every kind of streaming, every answer checked, at a constant rate.

use std::error::Error;
use std::time::Duration;

use dreammesh::{CallError, Channel, Code, Mesh, Metrics};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::phases::Ledger;
use crate::processes::Shop;
use crate::proto::current::{
    CatalogClient, CheckoutClient, CountArgs, GetItemRequestArgs, InventoryClient, ListRequestArgs,
    OrderLine, PlaceOrderRequest, ScanRequestArgs,
};
use crate::stock::{ARTICLES, Article};

/// How many customers are in the shop at any time.
const CUSTOMERS: u32 = 32;

/// How often each of them makes a call: all together make 2,000 a second.
const PERIOD: Duration = Duration::from_millis(16);

/// The metadata in which a catalog says which one it is.
pub(crate) const INSTANCE: &str = "instance";

/// The customers that are in the shop; they leave when this is dropped.
#[derive(Debug)]
pub(crate) struct Customers {
    _shopping: JoinSet<()>,
}

/// Channels to the three services, which all customers share.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub(crate) catalog: Channel,
    pub(crate) inventory: Channel,
    pub(crate) checkout: Channel,
}

impl Services {
    /// Channels that the mesh finds the endpoints of, and whose calls are counted.
    pub(crate) fn connect(shop: &Shop, metrics: &Metrics) -> Result<Self, Box<dyn Error>> {
        let mesh = Mesh::builder()
            .socket(shop.agent_socket())
            .program("customers")
            .attach()?;
        let channel = |target| {
            let channel = mesh.connector().channel_builder(target)?;
            Ok::<_, Box<dyn Error>>(channel.metrics(metrics.clone()).build())
        };
        Ok(Self {
            catalog: channel("mesh://catalog")?,
            inventory: channel("mesh://inventory")?,
            checkout: channel("mesh://checkout")?,
        })
    }
}

impl Customers {
    /// Lets them in; what they meet with goes into the ledger.
    pub(crate) fn enter(services: &Services, ledger: &Ledger) -> Self {
        let customer = Customer {
            catalog: CatalogClient::new(services.catalog.clone()),
            inventory: InventoryClient::new(services.inventory.clone()),
            checkout: CheckoutClient::new(services.checkout.clone()),
            ledger: ledger.clone(),
        };
        let mut shopping = JoinSet::new();
        for number in 0..CUSTOMERS {
            shopping.spawn(customer.clone().shop(number));
        }
        Self {
            _shopping: shopping,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where the program reads the clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Why a call is not what it should be.
enum Wrong {
    Failed(CallError),
    Answer(&'static str),
}

impl From<CallError> for Wrong {
    fn from(error: CallError) -> Self {
        Self::Failed(error)
    }
}

/// Clients are cheap to clone.
#[derive(Clone, Debug)]
struct Customer {
    catalog: CatalogClient,
    inventory: InventoryClient,
    checkout: CheckoutClient,
    ledger: Ledger,
}

impl Customer {
    async fn shop(self, number: u32) {
        // They come one after another, not all at once.
        let first = now() + PERIOD * number / CUSTOMERS;
        let mut ticks = tokio::time::interval_at(first, PERIOD);
        let mut round = number as usize;
        loop {
            // A call that has to wait for the one before it is late, and counted as late.
            let due = ticks.tick().await;
            let article = &ARTICLES[round % (ARTICLES.len() - 1)];
            let ended = match round % 13 {
                0 => self.look_for_what_is_not_there().await,
                1 => self.browse("brass").await,
                2 => self.order(article).await,
                3 => self.pay_at_the_till().await,
                4 => self.count_the_stock().await,
                _ => self.look_at(article).await,
            };
            let ended = ended.map_err(|wrong| match wrong {
                Wrong::Failed(error) => error.to_string(),
                Wrong::Answer(what) => format!("a wrong answer: {what}"),
            });
            self.ledger.call(now() - due, ended);
            round += 1;
        }
    }

    /// Unary.
    async fn look_at(&self, article: &Article) -> Result<(), Wrong> {
        let item = self
            .catalog
            .get_item(GetItemRequestArgs { sku: article.sku })
            .await?;
        if let Some(instance) = item.metadata().text(INSTANCE) {
            self.ledger.answer(instance);
        }
        let item = item.view();
        let right = item.title() == article.title
            && item.price_cents() == article.price_cents
            && item.tags().iter().eq(article.tags.iter().copied());
        expect(right, "GetItem")
    }

    /// Unary, and failing as it should.
    async fn look_for_what_is_not_there(&self) -> Result<(), Wrong> {
        let ask = GetItemRequestArgs { sku: "Z-99" };
        match self.catalog.get_item(ask).await {
            Err(error) if error.code() == Code::NotFound => {
                self.ledger.not_found();
                Ok(())
            }
            Err(error) => Err(error.into()),
            Ok(_) => Err(Wrong::Answer("an article that nobody sells")),
        }
    }

    /// Many responses. A list that its catalog could not finish is asked for once more: only the
    /// caller knows what it has seen of it.
    async fn browse(&self, tag: &str) -> Result<(), Wrong> {
        match self.list(tag).await {
            Err(Wrong::Failed(error)) if error.code() == Code::Unavailable => {
                self.ledger.resumed();
                self.list(tag).await
            }
            ended => ended,
        }
    }

    async fn list(&self, tag: &str) -> Result<(), Wrong> {
        let mut items = self.catalog.list(ListRequestArgs { tag }).await?;
        let mut expected = ARTICLES
            .iter()
            .filter(|article| article.tags.contains(&tag));
        let mut right = true;
        while let Some(item) = items.next().await? {
            right &= expected
                .next()
                .is_some_and(|article| article.sku == item.view().sku());
        }
        expect(right && expected.next().is_none(), "List")
    }

    /// Unary, answered by a service that calls two others.
    async fn order(&self, article: &Article) -> Result<(), Wrong> {
        let line = OrderLine {
            sku: article.sku.to_owned(),
            quantity: 3,
            ..Default::default()
        };
        let order = PlaceOrderRequest {
            customer: "Ada".to_owned(),
            lines: vec![line.clone(), line],
            ..Default::default()
        };
        let order = self.checkout.place_order(&order).await?;
        let right = order.view().total_cents() == u64::from(article.price_cents) * 6
            && order.view().reservations().len() == 2;
        expect(right, "PlaceOrder")
    }

    /// Many requests and many responses, taking turns.
    async fn pay_at_the_till(&self) -> Result<(), Wrong> {
        let (scans, mut lines) = self.checkout.scan().await?;
        let (mut total, mut right) = (0, true);
        for article in &ARTICLES[..4] {
            scans.send(ScanRequestArgs { sku: article.sku }).await?;
            total += u64::from(article.price_cents);
            let line = lines.next().await?;
            right &= line.is_some_and(|line| line.view().total_cents() == total);
        }
        scans.finish();
        expect(right && lines.next().await?.is_none(), "Scan")
    }

    /// Many requests.
    async fn count_the_stock(&self) -> Result<(), Wrong> {
        let counts = self.inventory.stocktake().await?;
        for (found, article) in (1..).zip(ARTICLES) {
            counts
                .send(CountArgs {
                    sku: article.sku,
                    found,
                })
                .await?;
        }
        let summary = counts.finish().await?;
        let articles = ARTICLES.len() as u64;
        let right = u64::from(summary.view().articles()) == articles
            && summary.view().pieces() == articles * (articles + 1) / 2;
        expect(right, "Stocktake")
    }
}

const fn expect(right: bool, what: &'static str) -> Result<(), Wrong> {
    if right {
        Ok(())
    } else {
        Err(Wrong::Answer(what))
    }
}
