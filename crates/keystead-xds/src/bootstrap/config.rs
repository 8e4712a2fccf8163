//! The parts of the bootstrap, from the whole down.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Endpoint, IDENTITY, Options, Server, TRUST, Variant};

/// The whole.
pub(super) fn bootstrap(options: &Options) -> Value {
    json!({
        "node": { "id": options.node_id, "cluster": options.node_cluster },
        "admin": { "address": address(&options.admin.into()) },
        "overload_manager": overload_manager(),
        "static_resources": {
            "listeners": [listener(options)],
            "clusters": [upstream(options), server(&options.server)],
        },
    })
}

/// Without a limit Envoy warns at each start; 50,000 is the number of its guide for edge proxies.
fn overload_manager() -> Value {
    json!({
        "resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": 50_000,
            },
        }],
    })
}

fn listener(options: &Options) -> Value {
    let mut chain = json!({ "filters": [connection_manager(options)] });
    if let (Some(certificate), Some(chain)) = (&options.certificate, chain.as_object_mut()) {
        // A client that does not finish its handshake.
        chain.insert("transport_socket_connect_timeout".into(), json!("10s"));
        let socket = downstream_tls(options, certificate);
        chain.insert("transport_socket".into(), socket);
    }
    json!({
        "name": "keystead",
        "address": address(&options.listen.into()),
        "per_connection_buffer_limit_bytes": 32_768,
        "filter_chains": [chain],
    })
}

fn connection_manager(options: &Options) -> Value {
    let access_log = if options.access_log {
        json!([{
            "name": "envoy.access_loggers.stdout",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog" },
        }])
    } else {
        json!([])
    };
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "keystead",
            "use_remote_address": true,
            "normalize_path": true,
            "request_headers_timeout": "10s",
            "http2_protocol_options": { "max_concurrent_streams": 100 },
            "access_log": access_log,
            "route_config": { "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [{ "match": { "prefix": "/" }, "route": route() }],
            }] },
            "http_filters": [{
                "name": "envoy.filters.http.router",
                "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
            }],
        },
    })
}

/// No limit on a whole exchange (an idle one ends after Envoy's 5 minutes), and a second try for what
/// the upstream did not begin to process.
fn route() -> Value {
    json!({
        "cluster": "upstream",
        "timeout": "0s",
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,reset-before-request",
            "num_retries": 2,
        },
    })
}

fn downstream_tls(options: &Options, certificate: &str) -> Value {
    let mut common = json!({
        "tls_params": tls_params(),
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [sds(certificate, options.variant)],
    });
    if let (Some(trust), Some(common)) = (&options.client_trust, common.as_object_mut()) {
        let secret = sds(trust, options.variant);
        common.insert("validation_context_sds_secret_config".into(), secret);
    }
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": common,
            "require_client_certificate": options.client_trust.is_some(),
        },
    })
}

fn upstream(options: &Options) -> Value {
    let mut cluster = cluster("upstream", &options.upstream);
    if let (Some(trust), Some(cluster)) = (&options.upstream_trust, cluster.as_object_mut()) {
        let name = options
            .server_name
            .as_ref()
            .unwrap_or(&options.upstream.host);
        let mut validation = json!({
            "combined_validation_context": {
                "default_validation_context": { "match_typed_subject_alt_names": [san(name)] },
                "validation_context_sds_secret_config": sds(trust, options.variant),
            },
            "alpn_protocols": ["http/1.1"],
        });
        if let (Some(shown), Some(members)) =
            (&options.client_certificate, validation.as_object_mut())
        {
            members.insert(
                "tls_certificate_sds_secret_configs".into(),
                json!([sds(shown, options.variant)]),
            );
        }
        cluster.insert("transport_socket".into(), upstream_tls(validation, name));
    }
    cluster
}

/// The connection to Keystead. Its PINGs find a server that vanished without a word.
fn server(server: &Server) -> Value {
    let mut cluster = match server {
        Server::Unix { path } => static_cluster("keystead", &json!({ "pipe": { "path": path } })),
        Server::Tls { address, .. } => cluster("keystead", address),
    };
    let Some(members) = cluster.as_object_mut() else {
        return cluster;
    };
    members.insert(
        "typed_extension_protocol_options".into(),
        json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http2_protocol_options": {
                "connection_keepalive": { "interval": "30s", "timeout": "5s" },
            } },
        } }),
    );
    if let Server::Tls {
        server_name,
        identity_file,
        trust_file,
        ..
    } = server
    {
        let validation = json!({
            "tls_certificate_sds_secret_configs": [file_sds(IDENTITY, identity_file)],
            "combined_validation_context": {
                "default_validation_context": { "match_typed_subject_alt_names": [san(server_name)] },
                "validation_context_sds_secret_config": file_sds(TRUST, trust_file),
            },
            "alpn_protocols": ["h2"],
        });
        members.insert(
            "transport_socket".into(),
            upstream_tls(validation, server_name),
        );
    }
    cluster
}

fn upstream_tls(mut common: Value, name: &str) -> Value {
    if let Some(common) = common.as_object_mut() {
        common.insert("tls_params".into(), tls_params());
    }
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": common,
    });
    // RFC 6066 section 3: no literal addresses in SNI.
    if name.parse::<IpAddr>().is_err()
        && let Some(context) = context.as_object_mut()
    {
        context.insert("sni".into(), json!(name));
    }
    json!({ "name": "envoy.transport_sockets.tls", "typed_config": context })
}

/// Envoy's own maximum as a client is TLS 1.2.
fn tls_params() -> Value {
    json!({ "tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3" })
}

/// Matches a subject alternative name; for DNS Envoy lets a wildcard in the certificate match too.
fn san(name: &str) -> Value {
    let san_type = match name.parse::<IpAddr>() {
        Ok(_) => "IP_ADDRESS",
        Err(_) => "DNS",
    };
    json!({ "san_type": san_type, "matcher": { "exact": name } })
}

fn cluster(name: &str, endpoint: &Endpoint) -> Value {
    let mut cluster = static_cluster(name, &address(endpoint));
    if endpoint.ip().is_none()
        && let Some(cluster) = cluster.as_object_mut()
    {
        cluster.insert("type".into(), json!("STRICT_DNS"));
        cluster.insert("dns_lookup_family".into(), json!("ALL"));
    }
    cluster
}

fn address(endpoint: &Endpoint) -> Value {
    json!({ "socket_address": { "address": endpoint.host, "port_value": endpoint.port } })
}

fn static_cluster(name: &str, address: &Value) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
    })
}

/// A secret that is asked for over gRPC. After a lost connection Envoy tries again within 5 seconds
/// at most (its own limit is 30).
fn sds(name: &str, variant: Variant) -> Value {
    let api_type = match variant {
        Variant::Incremental => "DELTA_GRPC",
        Variant::StateOfTheWorld => "GRPC",
    };
    json!({
        "name": name,
        "sds_config": {
            "resource_api_version": "V3",
            "initial_fetch_timeout": "0s",
            "api_config_source": {
                "api_type": api_type,
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{ "envoy_grpc": {
                    "cluster_name": "keystead",
                    "retry_policy": { "retry_back_off": { "base_interval": "0.25s", "max_interval": "5s" } },
                } }],
            },
        },
    })
}

fn file_sds(name: &str, path: &str) -> Value {
    json!({
        "name": name,
        "sds_config": { "resource_api_version": "V3", "path_config_source": { "path": path } },
    })
}
