//! What ports and rules had counted at the last `clear counters`: their own counters go on, for Prometheus.

use crate::mgmt::view::{AclRow, PortRow};

/// The rows of that moment; before the first one everything counts.
#[derive(Default)]
pub(super) struct Baseline {
    pub(super) acl: Vec<AclRow>,
    pub(super) ports: Vec<PortRow>,
}

impl Baseline {
    /// What came since, port by port.
    pub(super) fn ports(&self, mut rows: Vec<PortRow>) -> Vec<PortRow> {
        for (row, then) in rows.iter_mut().zip(&self.ports) {
            less(&mut row.rx_packets, then.rx_packets);
            less(&mut row.rx_bytes, then.rx_bytes);
            less(&mut row.tx_packets, then.tx_packets);
            less(&mut row.tx_bytes, then.tx_bytes);
            less(&mut row.rx_missed, then.rx_missed);
            less(&mut row.rx_errors, then.rx_errors);
            less(&mut row.tx_errors, then.tx_errors);
        }
        rows
    }

    /// What came since, rule by rule; valid for lists that stay as they are.
    pub(super) fn acl(&self, mut rows: Vec<AclRow>) -> Vec<AclRow> {
        for row in &mut rows {
            let Some(then) = self.acl.iter().find(|then| then.name == row.name) else { continue };
            less(&mut row.default_packets, then.default_packets);
            for (rule, then) in row.rules.iter_mut().zip(&then.rules) {
                less(&mut rule.packets, then.packets);
                less(&mut rule.bytes, then.bytes);
            }
        }
        rows
    }
}

fn less(now: &mut u64, then: u64) {
    *now = now.saturating_sub(then);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mgmt::view::samples;

    #[test]
    fn rows_start_again_at_zero_and_nothing_else_changes() {
        let (ports, acl) = (vec![samples::port()], vec![samples::acl()]);
        let untouched = Baseline::default();
        assert_eq!(untouched.ports(ports.clone()), ports);
        assert_eq!(untouched.acl(acl.clone()), acl);
        let baseline = Baseline { acl: acl.clone(), ports: ports.clone() };
        let now = baseline.ports(vec![PortRow { rx_packets: 13, ..samples::port() }]);
        assert_eq!((now[0].rx_packets, now[0].tx_bytes, now[0].rx_missed), (3, 0, 0));
        assert_eq!(now[0].name, ports[0].name);
        let now = baseline.acl(acl);
        assert_eq!((now[0].default_packets, now[0].rules[0].packets), (0, 0));
        assert_eq!(now[0].rules[0].text, samples::acl().rules[0].text);
    }
}
