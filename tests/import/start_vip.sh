#!/bin/sh
# Started at boot on the first web server.
/usr/sbin/ucarp --interface=eth0 --srcip=192.0.2.21 --vhid=10 --passfile=/nonexistent/ucarp.pass \
    --addr=192.0.2.30 --advskew=0 --upscript=/etc/vip-up.sh --downscript=/etc/vip-down.sh -x 24 \
    --shutdown --daemonize --neutral
ucarp -B -i eth1 -s "$SRC" -v 11 -p "$PASS" -a 10.0.0.1 -M -S &
