"""What a debugger steps through: the commands of a static stage, or the records of a dynamic
one."""
