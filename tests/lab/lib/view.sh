# shellcheck shell=bash disable=SC2154,SC2086  # globals of lab.sh; tunnel numbers need no quotes
# What AWS would report for a tunnel of a VPN connection with dynamic routing, only from the state of
# the charon and the BIRD at its end: UP is "BGP is ESTABLISHED" (Site-to-Site VPN user guide, "Monitor
# AWS Site-to-Site VPN tunnels using Amazon CloudWatch"); the messages are those of DescribeVpnConnections.

tunnel_view() { # N
  local n=$1 bgp
  bgp=$(bgp_of aws$n $n)
  if [[ $bgp == *'BGP state:'*Established* ]]; then
    [[ $bgp =~ Routes:[[:space:]]+([0-9]+)\ imported ]] || true
    echo "${aws_out[n]} UP ${BASH_REMATCH[1]:-0} BGP ROUTES"
  elif has_sa aws$n; then
    echo "${aws_out[n]} DOWN IPSEC IS UP"
  else
    echo "${aws_out[n]} DOWN IPSEC IS DOWN"
  fi
}

aws_view() {
  local one two
  is_there
  exec {one}< <(tunnel_view 1) {two}< <(tunnel_view 2)      # both at once: swanctl takes 30 ms
  cat "/dev/fd/$one" "/dev/fd/$two"
}

# Up at both ends: packets pass, and AWS reports UP.
is_up() { inside_ok "$1" && [[ $(tunnel_view "$1") == *' UP '[1-9]* ]]; }
