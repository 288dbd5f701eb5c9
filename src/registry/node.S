/* The part of the script for nodes that is the same for everybody (registry/mirror_script.c). */
    .section .rodata
    .global node_script
    .global node_script_end
node_script:
    .incbin "registry/node.sh"
node_script_end:
    .byte 0
    .section .note.GNU-stack,"",%progbits
