/** One link for all: what a guest's token begins with, no patient's does (signaling/invitations.py). */

if (location.hash.startsWith("#g.")) void import("./join-guest.js");
else void import("./join.js");
