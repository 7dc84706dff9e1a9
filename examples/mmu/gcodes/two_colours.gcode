; A print of a few seconds with two filaments
T0
G1 X50 F3000
T2
; The next status of the changer, which the macro shows
ROUTER_OBJECTS_WAIT TARGET=mmu
SHOW_FILAMENT
G1 X0
M400
M118 Print is over
