pub mod volo_gen {
    #![allow(warnings, clippy::all)]
    use ::pilota::{Buf as _, BufMut as _};
    pub mod dreammesh {
        use ::pilota::{Buf as _, BufMut as _};

        pub mod bench {
            use ::pilota::{Buf as _, BufMut as _};

            pub mod v1 {
                use ::pilota::{Buf as _, BufMut as _};
                #[derive(PartialOrd, Hash, Eq, Ord, Debug, Default, Clone, PartialEq)]
                pub struct Small {
                    pub id: u64,

                    pub ts: u64,

                    pub name: ::pilota::FastStr,

                    pub data: ::pilota::Bytes,
                }
                impl ::pilota::pb::Message for Small {
                    #[inline]
                    fn encoded_len(&self, ctx: &mut ::pilota::pb::EncodeLengthContext) -> usize {
                        0 + ::pilota::pb::encoding::uint64::encoded_len(ctx, 1, &self.id)
                            + ::pilota::pb::encoding::uint64::encoded_len(ctx, 2, &self.ts)
                            + ::pilota::pb::encoding::faststr::encoded_len(ctx, 3, &self.name)
                            + ::pilota::pb::encoding::bytes::encoded_len(ctx, 4, &self.data)
                    }

                    #[allow(unused_variables)]
                    fn encode_raw(&self, buf: &mut ::pilota::LinkedBytes) {
                        ::pilota::pb::encoding::uint64::encode(1, &self.id, buf);
                        ::pilota::pb::encoding::uint64::encode(2, &self.ts, buf);
                        ::pilota::pb::encoding::faststr::encode(3, &self.name, buf);
                        ::pilota::pb::encoding::bytes::encode(4, &self.data, buf);
                    }

                    #[allow(unused_variables)]
                    fn merge_field(
                        &mut self,
                        tag: u32,
                        wire_type: ::pilota::pb::encoding::WireType,
                        buf: &mut ::pilota::Bytes,
                        ctx: &mut ::pilota::pb::encoding::DecodeContext,
                        is_root: bool,
                    ) -> ::core::result::Result<(), ::pilota::pb::DecodeError> {
                        const STRUCT_NAME: &'static str = stringify!(Small);

                        match tag {
                            1 => {
                                let mut _inner_pilota_value = &mut self.id;
                                ::pilota::pb::encoding::uint64::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(id));
                                    error
                                })
                            }
                            2 => {
                                let mut _inner_pilota_value = &mut self.ts;
                                ::pilota::pb::encoding::uint64::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(ts));
                                    error
                                })
                            }
                            3 => {
                                let mut _inner_pilota_value = &mut self.name;
                                ::pilota::pb::encoding::faststr::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(name));
                                    error
                                })
                            }
                            4 => {
                                let mut _inner_pilota_value = &mut self.data;
                                ::pilota::pb::encoding::bytes::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(data));
                                    error
                                })
                            }
                            _ => ::pilota::pb::encoding::skip_field(wire_type, tag, buf, ctx),
                        }
                    }
                }
                #[derive(PartialOrd, Debug, Default, Clone, PartialEq)]
                pub struct Order {
                    pub id: u64,

                    pub customer_id: u64,

                    pub created: i64,

                    pub updated: i64,

                    pub status: u32,

                    pub region: u32,

                    pub total: f64,

                    pub tax: f64,

                    pub paid: bool,

                    pub version: u64,

                    pub customer: ::pilota::FastStr,

                    pub address: ::pilota::FastStr,

                    pub note: ::pilota::FastStr,

                    pub items: ::std::vec::Vec<LineItem>,
                }
                impl ::pilota::pb::Message for Order {
                    #[inline]
                    fn encoded_len(&self, ctx: &mut ::pilota::pb::EncodeLengthContext) -> usize {
                        0 + ::pilota::pb::encoding::uint64::encoded_len(ctx, 1, &self.id)
                            + ::pilota::pb::encoding::uint64::encoded_len(ctx, 2, &self.customer_id)
                            + ::pilota::pb::encoding::int64::encoded_len(ctx, 3, &self.created)
                            + ::pilota::pb::encoding::int64::encoded_len(ctx, 4, &self.updated)
                            + ::pilota::pb::encoding::uint32::encoded_len(ctx, 5, &self.status)
                            + ::pilota::pb::encoding::uint32::encoded_len(ctx, 6, &self.region)
                            + ::pilota::pb::encoding::double::encoded_len(ctx, 7, &self.total)
                            + ::pilota::pb::encoding::double::encoded_len(ctx, 8, &self.tax)
                            + ::pilota::pb::encoding::bool::encoded_len(ctx, 9, &self.paid)
                            + ::pilota::pb::encoding::uint64::encoded_len(ctx, 10, &self.version)
                            + ::pilota::pb::encoding::faststr::encoded_len(ctx, 11, &self.customer)
                            + ::pilota::pb::encoding::faststr::encoded_len(ctx, 12, &self.address)
                            + ::pilota::pb::encoding::faststr::encoded_len(ctx, 13, &self.note)
                            + ::pilota::pb::encoding::message::encoded_len_repeated(
                                ctx,
                                14,
                                &self.items,
                            )
                    }

                    #[allow(unused_variables)]
                    fn encode_raw(&self, buf: &mut ::pilota::LinkedBytes) {
                        ::pilota::pb::encoding::uint64::encode(1, &self.id, buf);
                        ::pilota::pb::encoding::uint64::encode(2, &self.customer_id, buf);
                        ::pilota::pb::encoding::int64::encode(3, &self.created, buf);
                        ::pilota::pb::encoding::int64::encode(4, &self.updated, buf);
                        ::pilota::pb::encoding::uint32::encode(5, &self.status, buf);
                        ::pilota::pb::encoding::uint32::encode(6, &self.region, buf);
                        ::pilota::pb::encoding::double::encode(7, &self.total, buf);
                        ::pilota::pb::encoding::double::encode(8, &self.tax, buf);
                        ::pilota::pb::encoding::bool::encode(9, &self.paid, buf);
                        ::pilota::pb::encoding::uint64::encode(10, &self.version, buf);
                        ::pilota::pb::encoding::faststr::encode(11, &self.customer, buf);
                        ::pilota::pb::encoding::faststr::encode(12, &self.address, buf);
                        ::pilota::pb::encoding::faststr::encode(13, &self.note, buf);
                        for msg in &self.items {
                            ::pilota::pb::encoding::message::encode(14, msg, buf);
                        }
                    }

                    #[allow(unused_variables)]
                    fn merge_field(
                        &mut self,
                        tag: u32,
                        wire_type: ::pilota::pb::encoding::WireType,
                        buf: &mut ::pilota::Bytes,
                        ctx: &mut ::pilota::pb::encoding::DecodeContext,
                        is_root: bool,
                    ) -> ::core::result::Result<(), ::pilota::pb::DecodeError> {
                        const STRUCT_NAME: &'static str = stringify!(Order);

                        match tag {
                            1 => {
                                let mut _inner_pilota_value = &mut self.id;
                                ::pilota::pb::encoding::uint64::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(id));
                                    error
                                })
                            }
                            2 => {
                                let mut _inner_pilota_value = &mut self.customer_id;
                                ::pilota::pb::encoding::uint64::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(customer_id));
                                    error
                                })
                            }
                            3 => {
                                let mut _inner_pilota_value = &mut self.created;
                                ::pilota::pb::encoding::int64::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(created));
                                    error
                                })
                            }
                            4 => {
                                let mut _inner_pilota_value = &mut self.updated;
                                ::pilota::pb::encoding::int64::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(updated));
                                    error
                                })
                            }
                            5 => {
                                let mut _inner_pilota_value = &mut self.status;
                                ::pilota::pb::encoding::uint32::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(status));
                                    error
                                })
                            }
                            6 => {
                                let mut _inner_pilota_value = &mut self.region;
                                ::pilota::pb::encoding::uint32::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(region));
                                    error
                                })
                            }
                            7 => {
                                let mut _inner_pilota_value = &mut self.total;
                                ::pilota::pb::encoding::double::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(total));
                                    error
                                })
                            }
                            8 => {
                                let mut _inner_pilota_value = &mut self.tax;
                                ::pilota::pb::encoding::double::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(tax));
                                    error
                                })
                            }
                            9 => {
                                let mut _inner_pilota_value = &mut self.paid;
                                ::pilota::pb::encoding::bool::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(paid));
                                    error
                                })
                            }
                            10 => {
                                let mut _inner_pilota_value = &mut self.version;
                                ::pilota::pb::encoding::uint64::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(version));
                                    error
                                })
                            }
                            11 => {
                                let mut _inner_pilota_value = &mut self.customer;
                                ::pilota::pb::encoding::faststr::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(customer));
                                    error
                                })
                            }
                            12 => {
                                let mut _inner_pilota_value = &mut self.address;
                                ::pilota::pb::encoding::faststr::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(address));
                                    error
                                })
                            }
                            13 => {
                                let mut _inner_pilota_value = &mut self.note;
                                ::pilota::pb::encoding::faststr::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(note));
                                    error
                                })
                            }
                            14 => {
                                let mut _inner_pilota_value = &mut self.items;
                                ::pilota::pb::encoding::message::merge_repeated(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(items));
                                    error
                                })
                            }
                            _ => ::pilota::pb::encoding::skip_field(wire_type, tag, buf, ctx),
                        }
                    }
                }

                pub trait Bench {
                    fn echo(
                        &self,
                        req: ::volo_grpc::Request<Small>,
                    ) -> impl ::std::future::Future<
                        Output = ::std::result::Result<
                            ::volo_grpc::Response<Small>,
                            ::volo_grpc::Status,
                        >,
                    > + Send;
                    fn process(
                        &self,
                        req: ::volo_grpc::Request<Order>,
                    ) -> impl ::std::future::Future<
                        Output = ::std::result::Result<
                            ::volo_grpc::Response<Order>,
                            ::volo_grpc::Status,
                        >,
                    > + Send;
                    fn copy(
                        &self,
                        req: ::volo_grpc::Request<Blob>,
                    ) -> impl ::std::future::Future<
                        Output = ::std::result::Result<
                            ::volo_grpc::Response<Blob>,
                            ::volo_grpc::Status,
                        >,
                    > + Send;
                    fn download(
                        &self,
                        req: ::volo_grpc::Request<Small>,
                    ) -> impl ::std::future::Future<
                        Output = ::std::result::Result<
                            ::volo_grpc::Response<
                                ::volo_grpc::BoxStream<
                                    'static,
                                    ::std::result::Result<Small, ::volo_grpc::Status>,
                                >,
                            >,
                            ::volo_grpc::Status,
                        >,
                    > + Send;
                    fn ping_pong(
                        &self,
                        req: ::volo_grpc::Request<::volo_grpc::RecvStream<Small>>,
                    ) -> impl ::std::future::Future<
                        Output = ::std::result::Result<
                            ::volo_grpc::Response<
                                ::volo_grpc::BoxStream<
                                    'static,
                                    ::std::result::Result<Small, ::volo_grpc::Status>,
                                >,
                            >,
                            ::volo_grpc::Status,
                        >,
                    > + Send;
                }

                pub enum BenchRequestSend {
                    Echo(
                        ::volo_grpc::BoxStream<
                            'static,
                            ::std::result::Result<Small, ::volo_grpc::Status>,
                        >,
                    ),
                    Process(
                        ::volo_grpc::BoxStream<
                            'static,
                            ::std::result::Result<Order, ::volo_grpc::Status>,
                        >,
                    ),
                    Copy(
                        ::volo_grpc::BoxStream<
                            'static,
                            ::std::result::Result<Blob, ::volo_grpc::Status>,
                        >,
                    ),
                    Download(
                        ::volo_grpc::BoxStream<
                            'static,
                            ::std::result::Result<Small, ::volo_grpc::Status>,
                        >,
                    ),
                    PingPong(
                        ::volo_grpc::BoxStream<
                            'static,
                            ::std::result::Result<Small, ::volo_grpc::Status>,
                        >,
                    ),
                }

                impl ::volo_grpc::SendEntryMessage for BenchRequestSend {
                    fn into_body(
                        self,
                        compression_encoding: ::std::option::Option<
                            ::volo_grpc::codec::compression::CompressionEncoding,
                        >,
                    ) -> ::volo_grpc::BoxStream<
                        'static,
                        ::std::result::Result<
                            ::volo_grpc::codegen::Frame<::volo_grpc::codegen::Bytes>,
                            ::volo_grpc::Status,
                        >,
                    > {
                        match self {
                            Self::Echo(s) => {
                                ::volo_grpc::codec::encode::encode(s, compression_encoding)
                            }
                            Self::Process(s) => {
                                ::volo_grpc::codec::encode::encode(s, compression_encoding)
                            }
                            Self::Copy(s) => {
                                ::volo_grpc::codec::encode::encode(s, compression_encoding)
                            }
                            Self::Download(s) => {
                                ::volo_grpc::codec::encode::encode(s, compression_encoding)
                            }
                            Self::PingPong(s) => {
                                ::volo_grpc::codec::encode::encode(s, compression_encoding)
                            }
                        }
                    }
                }

                pub enum BenchRequestRecv {
                    Echo(::volo_grpc::RecvStream<Small>),
                    Process(::volo_grpc::RecvStream<Order>),
                    Copy(::volo_grpc::RecvStream<Blob>),
                    Download(::volo_grpc::RecvStream<Small>),
                    PingPong(::volo_grpc::RecvStream<Small>),
                }

                impl ::volo_grpc::RecvEntryMessage for BenchRequestRecv {
                    fn from_body(
                        method: ::std::option::Option<&str>,
                        body: ::volo_grpc::body::BoxBody,
                        kind: ::volo_grpc::codec::decode::Kind,
                        compression_encoding: ::std::option::Option<
                            ::volo_grpc::codec::compression::CompressionEncoding,
                        >,
                    ) -> ::std::result::Result<Self, ::volo_grpc::Status> {
                        match method {
                            Some("/dreammesh.bench.v1.Bench/Echo") => {
                                ::std::result::Result::Ok(Self::Echo(::volo_grpc::RecvStream::new(
                                    body,
                                    kind,
                                    compression_encoding,
                                )))
                            }
                            Some("/dreammesh.bench.v1.Bench/Process") => {
                                ::std::result::Result::Ok(Self::Process(
                                    ::volo_grpc::RecvStream::new(body, kind, compression_encoding),
                                ))
                            }
                            Some("/dreammesh.bench.v1.Bench/Copy") => {
                                ::std::result::Result::Ok(Self::Copy(::volo_grpc::RecvStream::new(
                                    body,
                                    kind,
                                    compression_encoding,
                                )))
                            }
                            Some("/dreammesh.bench.v1.Bench/Download") => {
                                ::std::result::Result::Ok(Self::Download(
                                    ::volo_grpc::RecvStream::new(body, kind, compression_encoding),
                                ))
                            }
                            Some("/dreammesh.bench.v1.Bench/PingPong") => {
                                ::std::result::Result::Ok(Self::PingPong(
                                    ::volo_grpc::RecvStream::new(body, kind, compression_encoding),
                                ))
                            }
                            _ => ::std::result::Result::Err(::volo_grpc::Status::new(
                                ::volo_grpc::Code::Unimplemented,
                                "Method not found.",
                            )),
                        }
                    }
                }

                pub enum BenchResponseSend {
                    Echo(
                        ::volo_grpc::BoxStream<
                            'static,
                            ::std::result::Result<Small, ::volo_grpc::Status>,
                        >,
                    ),
                    Process(
                        ::volo_grpc::BoxStream<
                            'static,
                            ::std::result::Result<Order, ::volo_grpc::Status>,
                        >,
                    ),
                    Copy(
                        ::volo_grpc::BoxStream<
                            'static,
                            ::std::result::Result<Blob, ::volo_grpc::Status>,
                        >,
                    ),
                    Download(
                        ::volo_grpc::BoxStream<
                            'static,
                            ::std::result::Result<Small, ::volo_grpc::Status>,
                        >,
                    ),
                    PingPong(
                        ::volo_grpc::BoxStream<
                            'static,
                            ::std::result::Result<Small, ::volo_grpc::Status>,
                        >,
                    ),
                }

                impl ::volo_grpc::SendEntryMessage for BenchResponseSend {
                    fn into_body(
                        self,
                        compression_encoding: ::std::option::Option<
                            ::volo_grpc::codec::compression::CompressionEncoding,
                        >,
                    ) -> ::volo_grpc::BoxStream<
                        'static,
                        ::std::result::Result<
                            ::volo_grpc::codegen::Frame<::volo_grpc::codegen::Bytes>,
                            ::volo_grpc::Status,
                        >,
                    > {
                        match self {
                            Self::Echo(s) => {
                                ::volo_grpc::codec::encode::encode(s, compression_encoding)
                            }
                            Self::Process(s) => {
                                ::volo_grpc::codec::encode::encode(s, compression_encoding)
                            }
                            Self::Copy(s) => {
                                ::volo_grpc::codec::encode::encode(s, compression_encoding)
                            }
                            Self::Download(s) => {
                                ::volo_grpc::codec::encode::encode(s, compression_encoding)
                            }
                            Self::PingPong(s) => {
                                ::volo_grpc::codec::encode::encode(s, compression_encoding)
                            }
                        }
                    }
                }

                pub enum BenchResponseRecv {
                    Echo(::volo_grpc::RecvStream<Small>),
                    Process(::volo_grpc::RecvStream<Order>),
                    Copy(::volo_grpc::RecvStream<Blob>),
                    Download(::volo_grpc::RecvStream<Small>),
                    PingPong(::volo_grpc::RecvStream<Small>),
                }

                impl ::volo_grpc::RecvEntryMessage for BenchResponseRecv {
                    fn from_body(
                        method: ::std::option::Option<&str>,
                        body: ::volo_grpc::body::BoxBody,
                        kind: ::volo_grpc::codec::decode::Kind,
                        compression_encoding: ::std::option::Option<
                            ::volo_grpc::codec::compression::CompressionEncoding,
                        >,
                    ) -> ::std::result::Result<Self, ::volo_grpc::Status>
                    where
                        Self: ::core::marker::Sized,
                    {
                        match method {
                            Some("/dreammesh.bench.v1.Bench/Echo") => {
                                ::std::result::Result::Ok(Self::Echo(::volo_grpc::RecvStream::new(
                                    body,
                                    kind,
                                    compression_encoding,
                                )))
                            }
                            Some("/dreammesh.bench.v1.Bench/Process") => {
                                ::std::result::Result::Ok(Self::Process(
                                    ::volo_grpc::RecvStream::new(body, kind, compression_encoding),
                                ))
                            }
                            Some("/dreammesh.bench.v1.Bench/Copy") => {
                                ::std::result::Result::Ok(Self::Copy(::volo_grpc::RecvStream::new(
                                    body,
                                    kind,
                                    compression_encoding,
                                )))
                            }
                            Some("/dreammesh.bench.v1.Bench/Download") => {
                                ::std::result::Result::Ok(Self::Download(
                                    ::volo_grpc::RecvStream::new(body, kind, compression_encoding),
                                ))
                            }
                            Some("/dreammesh.bench.v1.Bench/PingPong") => {
                                ::std::result::Result::Ok(Self::PingPong(
                                    ::volo_grpc::RecvStream::new(body, kind, compression_encoding),
                                ))
                            }
                            _ => ::std::result::Result::Err(::volo_grpc::Status::new(
                                ::volo_grpc::Code::Unimplemented,
                                "Method not found.",
                            )),
                        }
                    }
                }

                pub struct BenchClientBuilder {}
                impl BenchClientBuilder {
                    pub fn new(
                        service_name: impl AsRef<str>,
                    ) -> ::volo_grpc::client::ClientBuilder<
                        ::volo::layer::Identity,
                        ::volo::layer::Identity,
                        MkBenchGenericClient,
                        ::volo_grpc::layer::loadbalance::LbConfig<
                            ::volo::loadbalance::random::WeightedRandomBalance<(::volo::FastStr)>,
                            ::volo_grpc::client::dns::DnsResolver,
                        >,
                        BenchRequestSend,
                        BenchResponseRecv,
                    > {
                        ::volo_grpc::client::ClientBuilder::new(MkBenchGenericClient, service_name)
                    }
                }

                pub struct MkBenchGenericClient;

                pub type BenchClient = BenchGenericClient<
                    ::volo::service::BoxCloneService<
                        ::volo_grpc::context::ClientContext,
                        ::volo_grpc::Request<BenchRequestSend>,
                        ::volo_grpc::Response<BenchResponseRecv>,
                        ::volo_grpc::Status,
                    >,
                >;

                impl<S> ::volo::client::MkClient<::volo_grpc::Client<S>> for MkBenchGenericClient {
                    type Target = BenchGenericClient<S>;
                    fn mk_client(&self, service: ::volo_grpc::Client<S>) -> Self::Target {
                        BenchGenericClient(service)
                    }
                }

                #[derive(Clone)]
                pub struct BenchGenericClient<S>(pub ::volo_grpc::Client<S>);

                pub struct BenchOneShotClient<S>(pub ::volo_grpc::Client<S>);

                impl<S> BenchGenericClient<S>
                where
                    S: ::volo::service::Service<
                            ::volo_grpc::context::ClientContext,
                            ::volo_grpc::Request<BenchRequestSend>,
                            Response = ::volo_grpc::Response<BenchResponseRecv>,
                            Error = ::volo_grpc::Status,
                        > + Sync
                        + Send
                        + 'static,
                {
                    pub fn with_callopt<
                        Opt: ::volo::client::Apply<::volo_grpc::context::ClientContext>,
                    >(
                        self,
                        opt: Opt,
                    ) -> BenchOneShotClient<::volo::client::WithOptService<S, Opt>>
                    {
                        BenchOneShotClient(self.0.with_opt(opt))
                    }

                    pub async fn echo(
                        &self,
                        requests: impl ::volo_grpc::IntoRequest<Small>,
                    ) -> ::std::result::Result<::volo_grpc::Response<Small>, ::volo_grpc::Status>
                    {
                        let req = requests
                            .into_request()
                            .map(|m| {
                                ::volo_grpc::codegen::futures::stream::once(
                                    ::volo_grpc::codegen::futures::future::ready(
                                        ::std::result::Result::Ok(m),
                                    ),
                                )
                            })
                            .map(|message| {
                                BenchRequestSend::Echo(::std::boxed::Box::pin(message) as _)
                            });
                        let mut cx = self.0.make_cx("/dreammesh.bench.v1.Bench/Echo");

                        let resp = ::volo::Service::call(&self.0, &mut cx, req).await?;
                        let (mut metadata, extensions, message_stream) = resp.into_parts();
                        let mut message_stream = match message_stream {
                            BenchResponseRecv::Echo(stream) => stream,
                            #[allow(unreachable_patterns)]
                            _ => {
                                return ::std::result::Result::Err(::volo_grpc::Status::new(
                                    ::volo_grpc::Code::Unimplemented,
                                    "Method not found.",
                                ));
                            }
                        };
                        let message =
                            ::volo_grpc::codegen::StreamExt::try_next(&mut message_stream)
                                .await
                                .map_err(|mut status| {
                                    status.metadata_mut().merge(metadata.clone());
                                    status
                                })?
                                .ok_or_else(|| {
                                    ::volo_grpc::Status::new(
                                        ::volo_grpc::Code::Internal,
                                        "Missing response message.",
                                    )
                                })?;
                        if let Some(trailers) = message_stream.trailers().await? {
                            metadata.merge(trailers);
                        }
                        ::std::result::Result::Ok(::volo_grpc::Response::from_parts(
                            metadata, extensions, message,
                        ))
                    }
                    pub async fn process(
                        &self,
                        requests: impl ::volo_grpc::IntoRequest<Order>,
                    ) -> ::std::result::Result<::volo_grpc::Response<Order>, ::volo_grpc::Status>
                    {
                        let req = requests
                            .into_request()
                            .map(|m| {
                                ::volo_grpc::codegen::futures::stream::once(
                                    ::volo_grpc::codegen::futures::future::ready(
                                        ::std::result::Result::Ok(m),
                                    ),
                                )
                            })
                            .map(|message| {
                                BenchRequestSend::Process(::std::boxed::Box::pin(message) as _)
                            });
                        let mut cx = self.0.make_cx("/dreammesh.bench.v1.Bench/Process");

                        let resp = ::volo::Service::call(&self.0, &mut cx, req).await?;
                        let (mut metadata, extensions, message_stream) = resp.into_parts();
                        let mut message_stream = match message_stream {
                            BenchResponseRecv::Process(stream) => stream,
                            #[allow(unreachable_patterns)]
                            _ => {
                                return ::std::result::Result::Err(::volo_grpc::Status::new(
                                    ::volo_grpc::Code::Unimplemented,
                                    "Method not found.",
                                ));
                            }
                        };
                        let message =
                            ::volo_grpc::codegen::StreamExt::try_next(&mut message_stream)
                                .await
                                .map_err(|mut status| {
                                    status.metadata_mut().merge(metadata.clone());
                                    status
                                })?
                                .ok_or_else(|| {
                                    ::volo_grpc::Status::new(
                                        ::volo_grpc::Code::Internal,
                                        "Missing response message.",
                                    )
                                })?;
                        if let Some(trailers) = message_stream.trailers().await? {
                            metadata.merge(trailers);
                        }
                        ::std::result::Result::Ok(::volo_grpc::Response::from_parts(
                            metadata, extensions, message,
                        ))
                    }
                    pub async fn copy(
                        &self,
                        requests: impl ::volo_grpc::IntoRequest<Blob>,
                    ) -> ::std::result::Result<::volo_grpc::Response<Blob>, ::volo_grpc::Status>
                    {
                        let req = requests
                            .into_request()
                            .map(|m| {
                                ::volo_grpc::codegen::futures::stream::once(
                                    ::volo_grpc::codegen::futures::future::ready(
                                        ::std::result::Result::Ok(m),
                                    ),
                                )
                            })
                            .map(|message| {
                                BenchRequestSend::Copy(::std::boxed::Box::pin(message) as _)
                            });
                        let mut cx = self.0.make_cx("/dreammesh.bench.v1.Bench/Copy");

                        let resp = ::volo::Service::call(&self.0, &mut cx, req).await?;
                        let (mut metadata, extensions, message_stream) = resp.into_parts();
                        let mut message_stream = match message_stream {
                            BenchResponseRecv::Copy(stream) => stream,
                            #[allow(unreachable_patterns)]
                            _ => {
                                return ::std::result::Result::Err(::volo_grpc::Status::new(
                                    ::volo_grpc::Code::Unimplemented,
                                    "Method not found.",
                                ));
                            }
                        };
                        let message =
                            ::volo_grpc::codegen::StreamExt::try_next(&mut message_stream)
                                .await
                                .map_err(|mut status| {
                                    status.metadata_mut().merge(metadata.clone());
                                    status
                                })?
                                .ok_or_else(|| {
                                    ::volo_grpc::Status::new(
                                        ::volo_grpc::Code::Internal,
                                        "Missing response message.",
                                    )
                                })?;
                        if let Some(trailers) = message_stream.trailers().await? {
                            metadata.merge(trailers);
                        }
                        ::std::result::Result::Ok(::volo_grpc::Response::from_parts(
                            metadata, extensions, message,
                        ))
                    }
                    pub async fn download(
                        &self,
                        requests: impl ::volo_grpc::IntoRequest<Small>,
                    ) -> ::std::result::Result<
                        ::volo_grpc::Response<
                            impl ::volo_grpc::codegen::futures::Stream<
                                Item = ::std::result::Result<Small, ::volo_grpc::Status>,
                            >,
                        >,
                        ::volo_grpc::Status,
                    > {
                        let req = requests
                            .into_request()
                            .map(|m| {
                                ::volo_grpc::codegen::futures::stream::once(
                                    ::volo_grpc::codegen::futures::future::ready(
                                        ::std::result::Result::Ok(m),
                                    ),
                                )
                            })
                            .map(|message| {
                                BenchRequestSend::Download(::std::boxed::Box::pin(message) as _)
                            });
                        let mut cx = self.0.make_cx("/dreammesh.bench.v1.Bench/Download");

                        let resp = ::volo::Service::call(&self.0, &mut cx, req).await?;
                        let (mut metadata, extensions, message_stream) = resp.into_parts();
                        let mut message_stream = match message_stream {
                            BenchResponseRecv::Download(stream) => stream,
                            #[allow(unreachable_patterns)]
                            _ => {
                                return ::std::result::Result::Err(::volo_grpc::Status::new(
                                    ::volo_grpc::Code::Unimplemented,
                                    "Method not found.",
                                ));
                            }
                        };
                        ::std::result::Result::Ok(::volo_grpc::Response::from_parts(
                            metadata,
                            extensions,
                            message_stream,
                        ))
                    }
                    pub async fn ping_pong(
                        &self,
                        requests: impl ::volo_grpc::IntoStreamingRequest<Message = Small>,
                    ) -> ::std::result::Result<
                        ::volo_grpc::Response<
                            impl ::volo_grpc::codegen::futures::Stream<
                                Item = ::std::result::Result<Small, ::volo_grpc::Status>,
                            >,
                        >,
                        ::volo_grpc::Status,
                    > {
                        let req = requests
                            .into_streaming_request()
                            .map(|s| {
                                ::volo_grpc::codegen::StreamExt::map(s, |m| {
                                    ::std::result::Result::Ok(m)
                                })
                            })
                            .map(|message| {
                                BenchRequestSend::PingPong(::std::boxed::Box::pin(message) as _)
                            });
                        let mut cx = self.0.make_cx("/dreammesh.bench.v1.Bench/PingPong");

                        let resp = ::volo::Service::call(&self.0, &mut cx, req).await?;
                        let (mut metadata, extensions, message_stream) = resp.into_parts();
                        let mut message_stream = match message_stream {
                            BenchResponseRecv::PingPong(stream) => stream,
                            #[allow(unreachable_patterns)]
                            _ => {
                                return ::std::result::Result::Err(::volo_grpc::Status::new(
                                    ::volo_grpc::Code::Unimplemented,
                                    "Method not found.",
                                ));
                            }
                        };
                        ::std::result::Result::Ok(::volo_grpc::Response::from_parts(
                            metadata,
                            extensions,
                            message_stream,
                        ))
                    }
                }

                impl<
                    S: ::volo::client::OneShotService<
                            ::volo_grpc::context::ClientContext,
                            ::volo_grpc::Request<BenchRequestSend>,
                            Response = ::volo_grpc::Response<BenchResponseRecv>,
                            Error = ::volo_grpc::Status,
                        > + Send
                        + Sync
                        + 'static,
                > BenchOneShotClient<S>
                {
                    pub async fn echo(
                        self,
                        requests: impl ::volo_grpc::IntoRequest<Small>,
                    ) -> ::std::result::Result<::volo_grpc::Response<Small>, ::volo_grpc::Status>
                    {
                        let req = requests
                            .into_request()
                            .map(|m| {
                                ::volo_grpc::codegen::futures::stream::once(
                                    ::volo_grpc::codegen::futures::future::ready(
                                        ::std::result::Result::Ok(m),
                                    ),
                                )
                            })
                            .map(|message| {
                                BenchRequestSend::Echo(::std::boxed::Box::pin(message) as _)
                            });
                        let mut cx = self.0.make_cx("/dreammesh.bench.v1.Bench/Echo");

                        let resp =
                            ::volo::client::OneShotService::call(self.0, &mut cx, req).await?;

                        let (mut metadata, extensions, message_stream) = resp.into_parts();
                        let mut message_stream = match message_stream {
                            BenchResponseRecv::Echo(stream) => stream,
                            #[allow(unreachable_patterns)]
                            _ => {
                                return ::std::result::Result::Err(::volo_grpc::Status::new(
                                    ::volo_grpc::Code::Unimplemented,
                                    "Method not found.",
                                ));
                            }
                        };
                        let message =
                            ::volo_grpc::codegen::StreamExt::try_next(&mut message_stream)
                                .await
                                .map_err(|mut status| {
                                    status.metadata_mut().merge(metadata.clone());
                                    status
                                })?
                                .ok_or_else(|| {
                                    ::volo_grpc::Status::new(
                                        ::volo_grpc::Code::Internal,
                                        "Missing response message.",
                                    )
                                })?;
                        if let Some(trailers) = message_stream.trailers().await? {
                            metadata.merge(trailers);
                        }
                        ::std::result::Result::Ok(::volo_grpc::Response::from_parts(
                            metadata, extensions, message,
                        ))
                    }
                    pub async fn process(
                        self,
                        requests: impl ::volo_grpc::IntoRequest<Order>,
                    ) -> ::std::result::Result<::volo_grpc::Response<Order>, ::volo_grpc::Status>
                    {
                        let req = requests
                            .into_request()
                            .map(|m| {
                                ::volo_grpc::codegen::futures::stream::once(
                                    ::volo_grpc::codegen::futures::future::ready(
                                        ::std::result::Result::Ok(m),
                                    ),
                                )
                            })
                            .map(|message| {
                                BenchRequestSend::Process(::std::boxed::Box::pin(message) as _)
                            });
                        let mut cx = self.0.make_cx("/dreammesh.bench.v1.Bench/Process");

                        let resp =
                            ::volo::client::OneShotService::call(self.0, &mut cx, req).await?;

                        let (mut metadata, extensions, message_stream) = resp.into_parts();
                        let mut message_stream = match message_stream {
                            BenchResponseRecv::Process(stream) => stream,
                            #[allow(unreachable_patterns)]
                            _ => {
                                return ::std::result::Result::Err(::volo_grpc::Status::new(
                                    ::volo_grpc::Code::Unimplemented,
                                    "Method not found.",
                                ));
                            }
                        };
                        let message =
                            ::volo_grpc::codegen::StreamExt::try_next(&mut message_stream)
                                .await
                                .map_err(|mut status| {
                                    status.metadata_mut().merge(metadata.clone());
                                    status
                                })?
                                .ok_or_else(|| {
                                    ::volo_grpc::Status::new(
                                        ::volo_grpc::Code::Internal,
                                        "Missing response message.",
                                    )
                                })?;
                        if let Some(trailers) = message_stream.trailers().await? {
                            metadata.merge(trailers);
                        }
                        ::std::result::Result::Ok(::volo_grpc::Response::from_parts(
                            metadata, extensions, message,
                        ))
                    }
                    pub async fn copy(
                        self,
                        requests: impl ::volo_grpc::IntoRequest<Blob>,
                    ) -> ::std::result::Result<::volo_grpc::Response<Blob>, ::volo_grpc::Status>
                    {
                        let req = requests
                            .into_request()
                            .map(|m| {
                                ::volo_grpc::codegen::futures::stream::once(
                                    ::volo_grpc::codegen::futures::future::ready(
                                        ::std::result::Result::Ok(m),
                                    ),
                                )
                            })
                            .map(|message| {
                                BenchRequestSend::Copy(::std::boxed::Box::pin(message) as _)
                            });
                        let mut cx = self.0.make_cx("/dreammesh.bench.v1.Bench/Copy");

                        let resp =
                            ::volo::client::OneShotService::call(self.0, &mut cx, req).await?;

                        let (mut metadata, extensions, message_stream) = resp.into_parts();
                        let mut message_stream = match message_stream {
                            BenchResponseRecv::Copy(stream) => stream,
                            #[allow(unreachable_patterns)]
                            _ => {
                                return ::std::result::Result::Err(::volo_grpc::Status::new(
                                    ::volo_grpc::Code::Unimplemented,
                                    "Method not found.",
                                ));
                            }
                        };
                        let message =
                            ::volo_grpc::codegen::StreamExt::try_next(&mut message_stream)
                                .await
                                .map_err(|mut status| {
                                    status.metadata_mut().merge(metadata.clone());
                                    status
                                })?
                                .ok_or_else(|| {
                                    ::volo_grpc::Status::new(
                                        ::volo_grpc::Code::Internal,
                                        "Missing response message.",
                                    )
                                })?;
                        if let Some(trailers) = message_stream.trailers().await? {
                            metadata.merge(trailers);
                        }
                        ::std::result::Result::Ok(::volo_grpc::Response::from_parts(
                            metadata, extensions, message,
                        ))
                    }
                    pub async fn download(
                        self,
                        requests: impl ::volo_grpc::IntoRequest<Small>,
                    ) -> ::std::result::Result<
                        ::volo_grpc::Response<
                            impl ::volo_grpc::codegen::futures::Stream<
                                Item = ::std::result::Result<Small, ::volo_grpc::Status>,
                            >,
                        >,
                        ::volo_grpc::Status,
                    > {
                        let req = requests
                            .into_request()
                            .map(|m| {
                                ::volo_grpc::codegen::futures::stream::once(
                                    ::volo_grpc::codegen::futures::future::ready(
                                        ::std::result::Result::Ok(m),
                                    ),
                                )
                            })
                            .map(|message| {
                                BenchRequestSend::Download(::std::boxed::Box::pin(message) as _)
                            });
                        let mut cx = self.0.make_cx("/dreammesh.bench.v1.Bench/Download");

                        let resp =
                            ::volo::client::OneShotService::call(self.0, &mut cx, req).await?;

                        let (mut metadata, extensions, message_stream) = resp.into_parts();
                        let mut message_stream = match message_stream {
                            BenchResponseRecv::Download(stream) => stream,
                            #[allow(unreachable_patterns)]
                            _ => {
                                return ::std::result::Result::Err(::volo_grpc::Status::new(
                                    ::volo_grpc::Code::Unimplemented,
                                    "Method not found.",
                                ));
                            }
                        };
                        ::std::result::Result::Ok(::volo_grpc::Response::from_parts(
                            metadata,
                            extensions,
                            message_stream,
                        ))
                    }
                    pub async fn ping_pong(
                        self,
                        requests: impl ::volo_grpc::IntoStreamingRequest<Message = Small>,
                    ) -> ::std::result::Result<
                        ::volo_grpc::Response<
                            impl ::volo_grpc::codegen::futures::Stream<
                                Item = ::std::result::Result<Small, ::volo_grpc::Status>,
                            >,
                        >,
                        ::volo_grpc::Status,
                    > {
                        let req = requests
                            .into_streaming_request()
                            .map(|s| {
                                ::volo_grpc::codegen::StreamExt::map(s, |m| {
                                    ::std::result::Result::Ok(m)
                                })
                            })
                            .map(|message| {
                                BenchRequestSend::PingPong(::std::boxed::Box::pin(message) as _)
                            });
                        let mut cx = self.0.make_cx("/dreammesh.bench.v1.Bench/PingPong");

                        let resp =
                            ::volo::client::OneShotService::call(self.0, &mut cx, req).await?;

                        let (mut metadata, extensions, message_stream) = resp.into_parts();
                        let mut message_stream = match message_stream {
                            BenchResponseRecv::PingPong(stream) => stream,
                            #[allow(unreachable_patterns)]
                            _ => {
                                return ::std::result::Result::Err(::volo_grpc::Status::new(
                                    ::volo_grpc::Code::Unimplemented,
                                    "Method not found.",
                                ));
                            }
                        };
                        ::std::result::Result::Ok(::volo_grpc::Response::from_parts(
                            metadata,
                            extensions,
                            message_stream,
                        ))
                    }
                }

                pub struct BenchServer<S> {
                    inner: ::std::sync::Arc<S>,
                }

                impl<S> Clone for BenchServer<S> {
                    fn clone(&self) -> Self {
                        BenchServer {
                            inner: self.inner.clone(),
                        }
                    }
                }

                impl<S> BenchServer<S> {
                    pub fn new(inner: S) -> Self {
                        Self::from_arc(::std::sync::Arc::new(inner))
                    }

                    pub fn from_arc(inner: ::std::sync::Arc<S>) -> Self {
                        Self { inner }
                    }
                }

                impl<S>
                    ::volo::service::Service<
                        ::volo_grpc::context::ServerContext,
                        ::volo_grpc::Request<BenchRequestRecv>,
                    > for BenchServer<S>
                where
                    S: Bench + ::core::marker::Send + ::core::marker::Sync + 'static,
                {
                    type Response = ::volo_grpc::Response<BenchResponseSend>;
                    type Error = ::volo_grpc::status::Status;

                    async fn call<'s, 'cx>(
                        &'s self,
                        cx: &'cx mut ::volo_grpc::context::ServerContext,
                        req: ::volo_grpc::Request<BenchRequestRecv>,
                    ) -> ::std::result::Result<Self::Response, Self::Error> {
                        let inner = self.inner.clone();
                        match cx.rpc_info.method().as_str() {
                            "/dreammesh.bench.v1.Bench/Echo" => {
                                let (mut metadata, extensions, message_stream) = req.into_parts();
                                let mut message_stream = match message_stream {
                                    BenchRequestRecv::Echo(stream) => stream,
                                    #[allow(unreachable_patterns)]
                                    _ => {
                                        return ::std::result::Result::Err(
                                            ::volo_grpc::Status::new(
                                                ::volo_grpc::Code::Unimplemented,
                                                "Method not found.",
                                            ),
                                        );
                                    }
                                };
                                ::volo_grpc::codegen::futures::pin_mut!(message_stream);
                                let message =
                                    ::volo_grpc::codegen::StreamExt::try_next(&mut message_stream)
                                        .await?
                                        .ok_or_else(|| {
                                            ::volo_grpc::Status::new(
                                                ::volo_grpc::Code::Internal,
                                                "Missing request message.",
                                            )
                                        })?;
                                if let Some(trailers) = message_stream.trailers().await? {
                                    metadata.merge(trailers);
                                }
                                let req =
                                    ::volo_grpc::Request::from_parts(metadata, extensions, message);
                                let resp = inner.echo(req).await;
                                resp.map(|r| {
                                    r.map(|m| {
                                        BenchResponseSend::Echo(::std::boxed::Box::pin(
                                            ::volo_grpc::codegen::futures::stream::once(
                                                ::volo_grpc::codegen::futures::future::ok(m),
                                            ),
                                        ))
                                    })
                                })
                            }
                            "/dreammesh.bench.v1.Bench/Process" => {
                                let (mut metadata, extensions, message_stream) = req.into_parts();
                                let mut message_stream = match message_stream {
                                    BenchRequestRecv::Process(stream) => stream,
                                    #[allow(unreachable_patterns)]
                                    _ => {
                                        return ::std::result::Result::Err(
                                            ::volo_grpc::Status::new(
                                                ::volo_grpc::Code::Unimplemented,
                                                "Method not found.",
                                            ),
                                        );
                                    }
                                };
                                ::volo_grpc::codegen::futures::pin_mut!(message_stream);
                                let message =
                                    ::volo_grpc::codegen::StreamExt::try_next(&mut message_stream)
                                        .await?
                                        .ok_or_else(|| {
                                            ::volo_grpc::Status::new(
                                                ::volo_grpc::Code::Internal,
                                                "Missing request message.",
                                            )
                                        })?;
                                if let Some(trailers) = message_stream.trailers().await? {
                                    metadata.merge(trailers);
                                }
                                let req =
                                    ::volo_grpc::Request::from_parts(metadata, extensions, message);
                                let resp = inner.process(req).await;
                                resp.map(|r| {
                                    r.map(|m| {
                                        BenchResponseSend::Process(::std::boxed::Box::pin(
                                            ::volo_grpc::codegen::futures::stream::once(
                                                ::volo_grpc::codegen::futures::future::ok(m),
                                            ),
                                        ))
                                    })
                                })
                            }
                            "/dreammesh.bench.v1.Bench/Copy" => {
                                let (mut metadata, extensions, message_stream) = req.into_parts();
                                let mut message_stream = match message_stream {
                                    BenchRequestRecv::Copy(stream) => stream,
                                    #[allow(unreachable_patterns)]
                                    _ => {
                                        return ::std::result::Result::Err(
                                            ::volo_grpc::Status::new(
                                                ::volo_grpc::Code::Unimplemented,
                                                "Method not found.",
                                            ),
                                        );
                                    }
                                };
                                ::volo_grpc::codegen::futures::pin_mut!(message_stream);
                                let message =
                                    ::volo_grpc::codegen::StreamExt::try_next(&mut message_stream)
                                        .await?
                                        .ok_or_else(|| {
                                            ::volo_grpc::Status::new(
                                                ::volo_grpc::Code::Internal,
                                                "Missing request message.",
                                            )
                                        })?;
                                if let Some(trailers) = message_stream.trailers().await? {
                                    metadata.merge(trailers);
                                }
                                let req =
                                    ::volo_grpc::Request::from_parts(metadata, extensions, message);
                                let resp = inner.copy(req).await;
                                resp.map(|r| {
                                    r.map(|m| {
                                        BenchResponseSend::Copy(::std::boxed::Box::pin(
                                            ::volo_grpc::codegen::futures::stream::once(
                                                ::volo_grpc::codegen::futures::future::ok(m),
                                            ),
                                        ))
                                    })
                                })
                            }
                            "/dreammesh.bench.v1.Bench/Download" => {
                                let (mut metadata, extensions, message_stream) = req.into_parts();
                                let mut message_stream = match message_stream {
                                    BenchRequestRecv::Download(stream) => stream,
                                    #[allow(unreachable_patterns)]
                                    _ => {
                                        return ::std::result::Result::Err(
                                            ::volo_grpc::Status::new(
                                                ::volo_grpc::Code::Unimplemented,
                                                "Method not found.",
                                            ),
                                        );
                                    }
                                };
                                ::volo_grpc::codegen::futures::pin_mut!(message_stream);
                                let message =
                                    ::volo_grpc::codegen::StreamExt::try_next(&mut message_stream)
                                        .await?
                                        .ok_or_else(|| {
                                            ::volo_grpc::Status::new(
                                                ::volo_grpc::Code::Internal,
                                                "Missing request message.",
                                            )
                                        })?;
                                if let Some(trailers) = message_stream.trailers().await? {
                                    metadata.merge(trailers);
                                }
                                let req =
                                    ::volo_grpc::Request::from_parts(metadata, extensions, message);
                                let resp = inner.download(req).await;
                                resp.map(|r| r.map(|s| BenchResponseSend::Download(s)))
                            }
                            "/dreammesh.bench.v1.Bench/PingPong" => {
                                let (mut metadata, extensions, message_stream) = req.into_parts();
                                let mut message_stream = match message_stream {
                                    BenchRequestRecv::PingPong(stream) => stream,
                                    #[allow(unreachable_patterns)]
                                    _ => {
                                        return ::std::result::Result::Err(
                                            ::volo_grpc::Status::new(
                                                ::volo_grpc::Code::Unimplemented,
                                                "Method not found.",
                                            ),
                                        );
                                    }
                                };
                                let req = ::volo_grpc::Request::from_parts(
                                    metadata,
                                    extensions,
                                    message_stream,
                                );
                                let resp = inner.ping_pong(req).await;
                                resp.map(|r| r.map(|s| BenchResponseSend::PingPong(s)))
                            }
                            path => {
                                let path = path.to_string();
                                ::std::result::Result::Err(::volo_grpc::Status::unimplemented(
                                    ::std::format!("Unimplemented http path: {}", path),
                                ))
                            }
                        }
                    }
                }

                impl<S: Bench> ::volo_grpc::server::NamedService for BenchServer<S> {
                    const NAME: &'static str = "dreammesh.bench.v1.Bench";
                }
                #[derive(PartialOrd, Hash, Eq, Ord, Debug, Default, Clone, PartialEq)]
                pub struct LineItem {
                    pub sku: u64,

                    pub qty: u32,

                    pub name: ::pilota::FastStr,
                }
                impl ::pilota::pb::Message for LineItem {
                    #[inline]
                    fn encoded_len(&self, ctx: &mut ::pilota::pb::EncodeLengthContext) -> usize {
                        0 + ::pilota::pb::encoding::uint64::encoded_len(ctx, 1, &self.sku)
                            + ::pilota::pb::encoding::uint32::encoded_len(ctx, 2, &self.qty)
                            + ::pilota::pb::encoding::faststr::encoded_len(ctx, 3, &self.name)
                    }

                    #[allow(unused_variables)]
                    fn encode_raw(&self, buf: &mut ::pilota::LinkedBytes) {
                        ::pilota::pb::encoding::uint64::encode(1, &self.sku, buf);
                        ::pilota::pb::encoding::uint32::encode(2, &self.qty, buf);
                        ::pilota::pb::encoding::faststr::encode(3, &self.name, buf);
                    }

                    #[allow(unused_variables)]
                    fn merge_field(
                        &mut self,
                        tag: u32,
                        wire_type: ::pilota::pb::encoding::WireType,
                        buf: &mut ::pilota::Bytes,
                        ctx: &mut ::pilota::pb::encoding::DecodeContext,
                        is_root: bool,
                    ) -> ::core::result::Result<(), ::pilota::pb::DecodeError> {
                        const STRUCT_NAME: &'static str = stringify!(LineItem);

                        match tag {
                            1 => {
                                let mut _inner_pilota_value = &mut self.sku;
                                ::pilota::pb::encoding::uint64::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(sku));
                                    error
                                })
                            }
                            2 => {
                                let mut _inner_pilota_value = &mut self.qty;
                                ::pilota::pb::encoding::uint32::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(qty));
                                    error
                                })
                            }
                            3 => {
                                let mut _inner_pilota_value = &mut self.name;
                                ::pilota::pb::encoding::faststr::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(name));
                                    error
                                })
                            }
                            _ => ::pilota::pb::encoding::skip_field(wire_type, tag, buf, ctx),
                        }
                    }
                }
                #[derive(PartialOrd, Hash, Eq, Ord, Debug, Default, Clone, PartialEq)]
                pub struct Blob {
                    pub data: ::pilota::Bytes,
                }
                impl ::pilota::pb::Message for Blob {
                    #[inline]
                    fn encoded_len(&self, ctx: &mut ::pilota::pb::EncodeLengthContext) -> usize {
                        0 + ::pilota::pb::encoding::bytes::encoded_len(ctx, 1, &self.data)
                    }

                    #[allow(unused_variables)]
                    fn encode_raw(&self, buf: &mut ::pilota::LinkedBytes) {
                        ::pilota::pb::encoding::bytes::encode(1, &self.data, buf);
                    }

                    #[allow(unused_variables)]
                    fn merge_field(
                        &mut self,
                        tag: u32,
                        wire_type: ::pilota::pb::encoding::WireType,
                        buf: &mut ::pilota::Bytes,
                        ctx: &mut ::pilota::pb::encoding::DecodeContext,
                        is_root: bool,
                    ) -> ::core::result::Result<(), ::pilota::pb::DecodeError> {
                        const STRUCT_NAME: &'static str = stringify!(Blob);

                        match tag {
                            1 => {
                                let mut _inner_pilota_value = &mut self.data;
                                ::pilota::pb::encoding::bytes::merge(
                                    wire_type,
                                    _inner_pilota_value,
                                    buf,
                                    ctx,
                                )
                                .map_err(|mut error| {
                                    error.push(STRUCT_NAME, stringify!(data));
                                    error
                                })
                            }
                            _ => ::pilota::pb::encoding::skip_field(wire_type, tag, buf, ctx),
                        }
                    }
                }
            }
        }
    }
}
