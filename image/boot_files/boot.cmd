# boot.scr on the FAT: the part of the boot chain that updates do not replace, so it knows as little as possible.
# Light on, choose a slot, count the try, hand over to that slot's own script (slot.cmd). It writes nothing but one
# 512-byte boot-state sector; the FAT is never written. Rendered by image/steps/scripts.py.
# Slots of any later version are started by it, so what it hands over (sky_why, and the names in slot.cmd) stays.
test -n "${devnum}" || setenv devnum 0
setenv ram 0
if test "${board}" = "qemu-arm"; then setenv ram 40000000; fi
@LIGHTS@
setexpr state0 ${ram} + 1d00000
setexpr state1 ${state0} + 200
setexpr slot_script ${ram} + 1e00000
setenv sky_vars SKY_SEQ SKY_ORDER SKY_A_LEFT SKY_B_LEFT SKY_A_GOOD SKY_B_GOOD SKY_UNCLEAN

# Two copies, the valid one with the higher sequence number counts, the other one is written.
${devtype} dev ${devnum}
${devtype} read ${state0} @STATE_LBA@ 2
setenv seq0 0; setenv seq1 0
if env import -c ${state1} 200 ${sky_vars}; then setenv seq1 ${SKY_SEQ}; fi
if env import -c ${state0} 200 ${sky_vars}; then setenv seq0 ${SKY_SEQ}; fi
setenv write_lba @STATE1_LBA@
if itest ${seq1} > ${seq0}; then
  env import -c ${state1} 200 ${sky_vars}; setenv write_lba @STATE_LBA@
fi
if itest ${seq0} == 0 && itest ${seq1} == 0; then
  echo "SKY no boot state, starting a new one"
  setenv SKY_SEQ 0; setenv SKY_ORDER "A B"; setenv SKY_A_LEFT 3; setenv SKY_B_LEFT 3
fi

# Three boots in a row that neither lasted ten minutes nor ended in order: the other slot, if it was good once.
setenv sky_why
if test -z "${SKY_UNCLEAN}"; then setenv SKY_UNCLEAN 0; fi
if itest ${SKY_UNCLEAN} == 3; then
  if test "${SKY_ORDER}" = "A B"; then
    if test "${SKY_B_GOOD}" = "1"; then setenv SKY_ORDER "B A"; setenv SKY_B_LEFT 3; setenv sky_why unclean; fi
  else
    if test "${SKY_A_GOOD}" = "1"; then setenv SKY_ORDER "A B"; setenv SKY_A_LEFT 3; setenv sky_why unclean; fi
  fi
  if test -n "${sky_why}"; then setenv SKY_UNCLEAN 0; fi
fi
setenv unclean ${SKY_UNCLEAN}
if itest ${SKY_UNCLEAN} < 3; then setexpr SKY_UNCLEAN ${SKY_UNCLEAN} + 1; fi

setenv slot
setenv first
for s in ${SKY_ORDER}; do
  if test -z "${first}"; then setenv first ${s}; fi
  if test -z "${slot}"; then
    if test "${s}" = "A"; then
      if itest ${SKY_A_LEFT} > 0; then setexpr SKY_A_LEFT ${SKY_A_LEFT} - 1; setenv slot A; setenv slot_part 2; fi
    fi
    if test "${s}" = "B"; then
      if itest ${SKY_B_LEFT} > 0; then setexpr SKY_B_LEFT ${SKY_B_LEFT} - 1; setenv slot B; setenv slot_part 3; fi
    fi
  fi
done
if test -z "${slot}"; then
  echo "SKY no tries left in any slot, giving each its tries back"
  setenv SKY_A_LEFT 3; setenv SKY_B_LEFT 3; setenv SKY_UNCLEAN ${unclean}
fi
if test -n "${slot}"; then
  if test "${slot}" != "${first}"; then setenv sky_why tries; fi
fi
setexpr SKY_SEQ ${SKY_SEQ} + 1
env export -c -s 200 ${state0} ${sky_vars}
${devtype} write ${state0} ${write_lba} 1
echo "SKY state seq=${SKY_SEQ} order=${SKY_ORDER} A=${SKY_A_LEFT} B=${SKY_B_LEFT} unclean=${SKY_UNCLEAN} ${sky_why}"

# A slot that comes back has used up a try, but what never ran did not end badly: the count of unclean boots is as before,
# in the same copy, under the same number.
if test -n "${slot}"; then
  part start ${devtype} ${devnum} ${slot_part} slot_lba
  mw.l ${slot_script} 0 4
  ${devtype} read ${slot_script} ${slot_lba} @SCRIPT_SECTORS@
  echo "SKY slot ${slot} at sector ${slot_lba}"
  source ${slot_script}
  echo "SKY slot ${slot} did not boot"
  setenv SKY_UNCLEAN ${unclean}
  env export -c -s 200 ${state0} ${sky_vars}
  ${devtype} write ${state0} ${write_lba} 1
fi
reset
