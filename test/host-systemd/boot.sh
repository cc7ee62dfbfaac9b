#!/bin/sh
# Run as: unshare --mount sh boot.sh FOLDER MACHINE [PROGRAM...]
# A second host out of this machine's own system: its root file system under a layer in memory, FOLDER/files put on top,
# none of its configured services, namespaces of its own. With PROGRAM only that is run there, else systemd.
set -eu
folder=$1 machine=$2
shift 2
mount --make-rprivate /
mkdir -p "$folder/layer" "$folder/root"
mount -t tmpfs -o mode=0755 layer "$folder/layer"
mkdir "$folder/layer/upper" "$folder/layer/work"
mount -t overlay -o "lowerdir=/,upperdir=$folder/layer/upper,workdir=$folder/layer/work" host "$folder/root"
root=$folder/root
rm -rf "$root/etc/systemd/system" "$root/var/log/journal" "$root/etc/pxmgr" "$root/usr/lib/pxmgr"
mkdir "$root/etc/systemd/system"
: >"$root/etc/fstab"
cp -a "$folder/files/." "$root/"
# --register: there may be no systemd-machined outside. --keep-unit: nor a service manager that makes a scope.
set -- --quiet --register=no --keep-unit --private-network --link-journal=no --console=pipe --resolv-conf=off \
  --directory="$root" --machine="$machine" ${1:+--as-pid2} "$@"
case " $* " in
*' --as-pid2 '*) ;;
*) set -- "$@" --boot -- --unit=multi-user.target ;;
esac
exec systemd-nspawn "$@" </dev/null
