//! Reads `customerGatewayConfiguration`, the XML document inside the answer that a customer gateway is configured from: of
//! it the tunnels' addresses, and not the pre-shared keys beside them.

use std::io::BufRead;
use std::net::IpAddr;

use super::xml::{Garbled, Leaf, walk};

/// The addresses of one `ipsec_tunnel`, as far as they are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::aws::ec2) struct TunnelAddresses {
    /// AWS's end on the Internet, or in a private network.
    pub(in crate::aws::ec2) outside_ip: Option<IpAddr>,
    /// `tunnel_inside_address`.
    pub(in crate::aws::ec2) inside_v4: Inside,
    /// `tunnel_inside_ipv6_address`: a tunnel that carries IPv6 has both.
    pub(in crate::aws::ec2) inside_v6: Inside,
}

/// The two ends inside a tunnel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::aws::ec2) struct Inside {
    /// `vpn_gateway`.
    pub(in crate::aws::ec2) aws: Option<IpAddr>,
    /// `customer_gateway`.
    pub(in crate::aws::ec2) ours: Option<IpAddr>,
}

impl Inside {
    /// AWS's end and ours, if both are known.
    pub(in crate::aws::ec2) fn both(self) -> Option<(IpAddr, IpAddr)> {
        self.aws.zip(self.ours)
    }
}

impl TunnelAddresses {
    /// Whether one of the addresses inside is AWS's own.
    pub(in crate::aws::ec2) fn has_inside(&self, address: IpAddr) -> bool {
        [self.inside_v4.aws, self.inside_v6.aws].contains(&Some(address))
    }
}

const TUNNEL: &str = "/vpn_connection/ipsec_tunnel";

/// The tunnels, in the order of the document.
pub(super) fn tunnels(document: impl BufRead) -> Result<Vec<TunnelAddresses>, Garbled> {
    let mut found: Vec<TunnelAddresses> = Vec::new();
    let is_wanted = |path: &str| path.starts_with(TUNNEL) && path.ends_with("/ip_address");
    walk(document, "/vpn_connection", is_wanted, |path, leaf| match leaf {
        Leaf::Opened if path == TUNNEL => found.push(TunnelAddresses::default()),
        Leaf::Opened => {}
        Leaf::Closed(text) => {
            let (Some(tunnel), Some(field)) = (found.last_mut(), path.strip_prefix(TUNNEL)) else { return };
            let address = text.parse().ok();
            match field {
                "/vpn_gateway/tunnel_outside_address/ip_address" => tunnel.outside_ip = address,
                "/vpn_gateway/tunnel_inside_address/ip_address" => tunnel.inside_v4.aws = address,
                "/customer_gateway/tunnel_inside_address/ip_address" => tunnel.inside_v4.ours = address,
                "/vpn_gateway/tunnel_inside_ipv6_address/ip_address" => tunnel.inside_v6.aws = address,
                "/customer_gateway/tunnel_inside_ipv6_address/ip_address" => tunnel.inside_v6.ours = address,
                _ => {}
            }
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As AWS writes it for a connection that carries IPv6; the customer gateway's outside address is of no interest.
    const DOCUMENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<vpn_connection id="vpn-0123456789abcdef0">
  <customer_gateway_id>cgw-0123456789abcdef0</customer_gateway_id>
  <vpn_gateway_id/>
  <vpn_connection_type>ipsec.1</vpn_connection_type>
  <ipsec_tunnel>
    <customer_gateway>
      <tunnel_outside_address><ip_address>192.0.2.1</ip_address></tunnel_outside_address>
      <tunnel_inside_address>
        <ip_address>169.254.45.98</ip_address>
        <network_mask>255.255.255.252</network_mask>
        <network_cidr>30</network_cidr>
      </tunnel_inside_address>
      <tunnel_inside_ipv6_address>
        <ip_address>fd00:2001:db8::2</ip_address>
        <prefix_length>126</prefix_length>
      </tunnel_inside_ipv6_address>
    </customer_gateway>
    <vpn_gateway>
      <tunnel_outside_address><ip_address>203.0.113.11</ip_address></tunnel_outside_address>
      <tunnel_inside_address><ip_address>169.254.45.97</ip_address></tunnel_inside_address>
      <tunnel_inside_ipv6_address><ip_address>fd00:2001:db8::1</ip_address></tunnel_inside_ipv6_address>
    </vpn_gateway>
    <ike><pre_shared_key>s3cr3t</pre_shared_key></ike>
  </ipsec_tunnel>
  <ipsec_tunnel>
    <vpn_gateway>
      <tunnel_outside_address><ip_address>203.0.113.12</ip_address></tunnel_outside_address>
      <tunnel_inside_address><ip_address>s3cr3t</ip_address></tunnel_inside_address>
    </vpn_gateway>
  </ipsec_tunnel>
</vpn_connection>
"#;

    #[test]
    fn the_addresses_of_every_tunnel_are_taken_and_nothing_else() {
        let read = tunnels(DOCUMENT.as_bytes()).unwrap();
        let address = |text: &str| Some(text.parse().unwrap());
        assert_eq!(
            read,
            [
                TunnelAddresses {
                    outside_ip: address("203.0.113.11"),
                    inside_v4: Inside { aws: address("169.254.45.97"), ours: address("169.254.45.98") },
                    inside_v6: Inside { aws: address("fd00:2001:db8::1"), ours: address("fd00:2001:db8::2") },
                },
                TunnelAddresses { outside_ip: address("203.0.113.12"), ..TunnelAddresses::default() },
            ]
        );
        assert!(!format!("{read:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_document_that_breaks_off_or_is_another_is_refused() {
        let cut = DOCUMENT.find("<ike>").unwrap();
        assert_eq!(tunnels(&DOCUMENT.as_bytes()[..cut]), Err(Garbled::Truncated));
        assert_eq!(tunnels(&b"<html></html>"[..]), Err(Garbled::Foreign));
        assert_eq!(tunnels(&b"<vpn_connection></vpn_connection>"[..]), Ok(vec![]));
    }
}
