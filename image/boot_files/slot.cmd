# The first sectors of a slot: how this very system is started. Updated with the slot, so that kernel, initramfs, dtb and
# root hash always belong together. It gets ram, slot, slot_lba, devtype and devnum from boot.scr and returns on failure.
# Rendered by image/steps/scripts.py.
setexpr kernel ${ram} + 2000000
setexpr initrd ${ram} + a000000
setexpr dtb ${ram} + 1f00000
setexpr sum_at ${ram} + 1cff000
setexpr kernel_comp_addr_r ${ram} + c000000
setenv kernel_comp_size 2000000
setenv console
setenv dtb_lba
setenv bad

# load: ${n} bytes from ${lba} of the slot to ${to}, and the CRC over them must be ${sum} (${mus} in U-Boots that
# store it in the other byte order)
setenv load 'setexpr at ${slot_lba} + ${lba}; setexpr count ${n} + 1ff; setexpr count ${count} / 200; ${devtype} read ${to} ${at} ${count} && crc32 ${to} ${n} ${sum_at}; setexpr.l got *${sum_at}; if itest ${got} != ${sum} && itest ${got} != ${mus}; then echo "SKY bad sum at ${lba}: ${got}, want ${sum}"; setenv bad 1; fi'

@BOARDS@
setenv lba @KERNEL_LBA@; setenv n @KERNEL_BYTES@; @KERNEL_SUMS@; setenv to ${kernel}; run load
setenv lba @INITRD_LBA@; setenv n @INITRD_BYTES@; @INITRD_SUMS@; setenv to ${initrd}; run load
setenv fdt ${fdt_addr}
test -n "${fdt}" || setenv fdt ${fdtcontroladdr}
if test -n "${dtb_lba}"; then
  setenv lba ${dtb_lba}; setenv n ${dtb_n}; setenv sum ${dtb_sum}; setenv mus ${dtb_mus}; setenv to ${dtb}; run load
  setenv fdt ${dtb}
fi
setenv bootargs "${console} sky.slot=${slot} sky.why=${sky_why} sky.linear=@ROOT_LBA@ sky.blocks=@ROOT_BLOCKS@ sky.tree=@TREE_BLOCK@ sky.hash=@ROOT_HASH@ sky.salt=@SALT@ @KERNEL_ARGS@"
if test -z "${bad}"; then
  echo "SKY starting the kernel"
  booti ${kernel} ${initrd}:@INITRD_BYTES@ ${fdt}
fi
