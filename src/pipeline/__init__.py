"""The commands, one file each: functions that the command line calls and you can too."""
